package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type inferCmd struct {
	output
	Graph   string   `arg:"" help:"Name or name@version."`
	Input   []string `short:"i" help:"Input as name=value, name=@file or name=- (standard input). Tensors are JSON: nested lists of numbers." placeholder:"NAME=VALUE" sep:"none"`
	Outputs []string `help:"Outputs wanted. Default: all." placeholder:"NAME"`
	Trace   bool     `help:"Print what each node did, as a waterfall."`
	Stream  bool     `help:"Print each output and what each node does as it happens; with -o json, one message a line."`
	Key     string   `name:"sticky-key" help:"While the graph has a canary, calls with the same key go to the same release." placeholder:"KEY"`
}

// Run calls the graph.
func (c *inferCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	in, err := c.inputs(e)
	if err != nil {
		return err
	}
	if c.Stream {
		return c.stream(ctx, e, cl, in)
	}
	res, err := cl.Inference.Infer(ctx, &tandemv1.InferRequest{
		Graph: c.Graph, Inputs: in, Outputs: c.Outputs, Trace: c.Trace, StickyKey: c.Key, TensorEncoding: tandemv1.TensorEncoding_TENSOR_ENCODING_ELEMENTS,
	})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	for _, name := range slices.Sorted(maps.Keys(res.GetOutputs())) {
		if err := e.say("%s: %s\n", name, valueText(res.GetOutputs()[name])); err != nil {
			return err
		}
	}
	if c.Trace {
		return printTrace(e, res.GetRelease(), res.GetTrace())
	}
	return nil
}

// inputs reads the -i flags; what each is, the server knows.
func (c *inferCmd) inputs(e *env) (map[string]*tandemv1.Value, error) {
	given, err := e.inputFlags(c.Input)
	if err != nil {
		return nil, err
	}
	in := map[string]*tandemv1.Value{}
	for name, data := range given {
		in[name] = client.Literal(data)
	}
	return in, nil
}

// inputFlags reads -i flags: what was typed, or a file's content, by name.
func (e *env) inputFlags(args []string) (map[string][]byte, error) {
	all, err := e.repeatedFlags(args)
	if err != nil {
		return nil, err
	}
	given := map[string][]byte{}
	for name, data := range all {
		if len(data) > 1 {
			return nil, usagef("input %s is given twice", name)
		}
		given[name] = data[0]
	}
	return given, nil
}

// repeatedFlags reads -i flags of which one name may stand several times, in their order.
func (e *env) repeatedFlags(args []string) (map[string][][]byte, error) {
	given := map[string][][]byte{}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usagef("-i %s: want name=value or name=@file", arg)
		}
		data, err := e.argument(text)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		given[name] = append(given[name], data)
	}
	return given, nil
}

// argument returns a flag's value: the text, or a file's or standard input's content.
func (e *env) argument(text string) ([]byte, error) {
	switch {
	case text == "-":
		return io.ReadAll(e.in)
	case strings.HasPrefix(text, "@"):
		return os.ReadFile(text[1:])
	default:
		return []byte(text), nil
	}
}
