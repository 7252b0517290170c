package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/runners/madeup"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/probe"
)

type modelCheckCmd struct {
	output
	sampleFlags
	File  string `arg:"" help:"ONNX file." type:"existingfile"`
	JSON  bool   `name:"json" help:"The same as --output json."`
	NoRun bool   `help:"Only read the file; do not load and run it here."`
}

func (c *modelCheckCmd) json() bool { return c.JSON || c.output.json() }

// sampleFlags say how a model is run to see how it does.
type sampleFlags struct {
	ONNXRuntime string            `name:"onnxruntime" help:"Path of libonnxruntime. Default: found in the project's .cache." env:"ONNXRUNTIME_LIB" placeholder:"FILE" type:"path"`
	Threads     int               `help:"Threads for one operator. Default: as many as there are cores." placeholder:"N"`
	Size        map[string]int64  `help:"Size of an open dimension, by its name or as INPUT.INDEX. Default: some are tried." placeholder:"NAME=N"`
	Fill        map[string]string `help:"What all elements of an input are. Default: 0.5 for floats, 1 for others." placeholder:"INPUT=VALUE"`
}

// measureTimeout bounds what is measured; a model that takes longer is too slow to be judged here.
const measureTimeout = 2 * time.Minute

// Run judges the file and, unless it is to be read only, what a process of its own finds when it runs the model: that is
// native code on a file that may crash it.
func (c *modelCheckCmd) Run(ctx context.Context, e *env) error {
	model, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	r := probe.Read(model, onnx.Limits{})
	switch lib, missing := findLibrary(e, c.ONNXRuntime); {
	case len(r.Faults) > 0:
		r.NotMeasured = "the file is refused before it is run"
	case c.NoRun:
		r.NotMeasured = "--no-run was given"
	case missing != "":
		r.NotMeasured = missing
	default:
		if !c.json() {
			_, _ = fmt.Fprintf(e.err, "running %s in ONNX Runtime, native code, in a process of its own; --no-run only reads the file\n", c.File)
		}
		if r, err = c.measure(ctx, r, lib); err != nil {
			return err
		}
	}
	if err := c.print(e, r); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return &invalidError{fmt.Sprintf("%s cannot be served", c.File)}
	}
	return nil
}

// measure starts the process that runs the model. What it does not survive is a fault of the model.
func (c *modelCheckCmd) measure(ctx context.Context, r *probe.Report, lib string) (*probe.Report, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, which runs the model in a process of its own: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	cmd := exec.CommandContext(bounded, exe, append([]string{"model", "measure", "--onnxruntime", lib}, c.arguments()...)...) //nolint:gosec // this program
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	measured := &probe.Report{}
	if err == nil {
		return measured, json.Unmarshal(out.Bytes(), measured)
	}
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case bounded.Err() != nil:
		r.NotMeasured = fmt.Sprintf("it did not finish within %v", measureTimeout)
	case ended && exit.ExitCode() == exitFailed:
		r.NotMeasured = strings.TrimPrefix(lastLine(said.String()), "tandem: ")
	case ended:
		r.Faults = append(r.Faults, fmt.Sprintf("ONNX Runtime does not survive it (%v): %s", exit, firstLine(said.String())))
	default:
		return nil, err
	}
	return r, nil
}

// arguments are those of the process that measures.
func (c *modelCheckCmd) arguments() []string {
	args := []string{"--threads", strconv.Itoa(c.Threads)}
	for name, n := range c.Size {
		args = append(args, fmt.Sprintf("--size=%s=%d", name, n))
	}
	for name, v := range c.Fill {
		args = append(args, fmt.Sprintf("--fill=%s=%s", name, v))
	}
	return append(args, "--", c.File)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// modelMeasureCmd is what model check starts: it runs the model and prints the whole report as JSON.
type modelMeasureCmd struct {
	sampleFlags
	File string `arg:"" type:"existingfile"`
}

// Run measures.
func (c *modelMeasureCmd) Run(ctx context.Context, e *env) error {
	model, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	config := onnx.Config{Library: c.ONNXRuntime, Threads: c.Threads}
	rt, err := onnx.Open(ctx, config)
	if err != nil {
		return err
	}
	r := probe.Read(model, onnx.Limits{})
	if err := probe.Measure(ctx, rt, model, madeup.Config{Sizes: c.Size, Values: c.Fill}, r); err != nil {
		return err
	}
	return e.printDocument(r)
}
