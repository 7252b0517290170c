package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"google.golang.org/protobuf/types/known/durationpb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// servingFlags are how a model is to be served.
type servingFlags struct {
	MaxRows      int32         `help:"Most rows of one run. Default: as measured, else 32." placeholder:"N"`
	MaxDelay     time.Duration `help:"How long an idle model waits for more rows. Default: it does not." placeholder:"TIME"`
	MaxQueueRows int32         `help:"Most rows that wait; more are refused. Default: 64 times the most rows of a run, at least 2048." placeholder:"N"`
	Threads      int32         `help:"Threads for one operator. Default: as measured." placeholder:"N"`
	Concurrency  int32         `help:"Runs at once. Default: as the plan gives (tandem plan)." placeholder:"N"`
	Instances    int32         `help:"How many times the model is loaded. Default: once, which takes several runs at once." placeholder:"N"`
	Spin         bool          `help:"Let threads of its own wait actively while no other model needs the cores."`
	Providers    string        `help:"Where it runs: cpu, prefer:LIST (else on the CPU) or require:LIST, with cuda:N, tensorrt:N and webgpu in LIST. Default: as the server is told." placeholder:"WHERE"`
	Pad          []string      `help:"Make a dimension of an input longer so that several shapes share a run, as in --pad ids:1 --pad mask:1=0. Dimension 0 is the rows; the value is 0 unless given. May be repeated." placeholder:"INPUT:DIM[=VALUE]"`
	Buckets      []int64       `help:"Sizes that padded dimensions are brought to, as in 32,64,128. Default: powers of two." placeholder:"N,..."`
	Memory       int64         `help:"What the loaded model takes in memory, in MiB, if that is more than is measured. Default: as measured." placeholder:"MIB"`
	Warm         []string      `help:"An input of the run that warms the model, as in --warm ids:1x16=1; a model that fails on it is refused. One for every input. Default: made up." placeholder:"INPUT:SHAPE[=VALUE]"`
}

// options returns what the flags ask for, nil for nothing.
func (f *servingFlags) options() (*tandemv1.ModelOptions, error) {
	o := &tandemv1.ModelOptions{
		MaxRows: f.MaxRows, MaxQueueRows: f.MaxQueueRows, Threads: f.Threads, Concurrency: f.Concurrency, Instances: f.Instances,
		Spin: f.Spin, Providers: f.Providers, Buckets: f.Buckets, MemoryBytes: f.Memory << 20,
	}
	if f.MaxDelay != 0 {
		o.MaxDelay = durationpb.New(f.MaxDelay)
	}
	for _, text := range f.Pad {
		input, dim, value, err := portFlag("pad", text)
		if err != nil {
			return nil, err
		}
		axis, err := strconv.ParseInt(dim, 10, 32)
		if err != nil {
			return nil, usagef("--pad %s: %q is no number of a dimension", text, dim)
		}
		o.Pad = append(o.Pad, &tandemv1.Padding{Input: input, Axis: int32(axis), Value: value})
	}
	for _, text := range f.Warm {
		input, dims, value, err := portFlag("warm", text)
		if err != nil {
			return nil, err
		}
		w := &tandemv1.WarmInput{Input: input, Value: value}
		for _, d := range strings.FieldsFunc(dims, func(r rune) bool { return r == 'x' }) {
			n, err := strconv.ParseInt(d, 10, 64)
			if err != nil {
				return nil, usagef("--warm %s: want a shape as 1x16, got %q", text, dims)
			}
			w.Shape = append(w.Shape, n)
		}
		o.Warm = append(o.Warm, w)
	}
	return o, nil
}

// portFlag parses INPUT:WHAT[=VALUE]. Names of inputs may have colons and equal signs themselves, the last ones count.
func portFlag(flag, text string) (input, what string, value float64, err error) {
	at := strings.LastIndexByte(text, ':')
	if at <= 0 {
		return "", "", 0, usagef("--%s %s: want INPUT:... with the name of an input", flag, text)
	}
	input = text[:at]
	what, number, given := strings.Cut(text[at+1:], "=")
	if given {
		if value, err = strconv.ParseFloat(number, 64); err != nil {
			return "", "", 0, usagef("--%s %s: %q is no number", flag, text, number)
		}
	}
	return input, what, value, nil
}

// servingRows says how a model is served and what was learned of it.
func servingRows(t table, m *tandemv1.Model) {
	if o := m.GetOptions(); o != nil {
		t.row("options", optionsText(o))
	}
	state := "no: it is loaded when it is called"
	if m.GetLoaded() {
		state = "yes"
	}
	if n := m.GetMemoryBytes(); n > 0 {
		state += ", " + humanize.IBytes(uint64(n))
	}
	t.row("in memory", state)
	if note := m.GetWarmUpNote(); note != "" {
		t.row("warm-up", note)
	}
	for _, l := range m.GetLearned() {
		shape := l.GetShape()
		if strings.TrimSpace(shape) == "" {
			shape = "scalar rows"
		}
		text := "a run takes " + tookText(l.GetBase().AsDuration())
		if l.GetPerRow().AsDuration() > 0 {
			text += " and " + tookText(l.GetPerRow().AsDuration()) + " for each row"
		}
		t.row("learned", fmt.Sprintf("%s (rows of %s, from %.0f runs)", text, shape, l.GetRuns()))
	}
}

func tookText(d time.Duration) string {
	if d >= time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

// optionsText writes options as the flags that ask for them.
func optionsText(o *tandemv1.ModelOptions) string {
	var words []string
	add := func(flag string, n int64) {
		if n != 0 {
			words = append(words, fmt.Sprintf("--%s=%d", flag, n))
		}
	}
	add("max-rows", int64(o.GetMaxRows()))
	if d := o.GetMaxDelay(); d != nil {
		words = append(words, "--max-delay="+d.AsDuration().String())
	}
	add("max-queue-rows", int64(o.GetMaxQueueRows()))
	add("threads", int64(o.GetThreads()))
	add("concurrency", int64(o.GetConcurrency()))
	add("instances", int64(o.GetInstances()))
	if o.GetSpin() {
		words = append(words, "--spin")
	}
	if where := o.GetProviders(); where != "" {
		words = append(words, "--providers="+where)
	}
	for _, p := range o.GetPad() {
		words = append(words, fmt.Sprintf("--pad=%s:%d=%v", p.GetInput(), p.GetAxis(), p.GetValue()))
	}
	if b := o.GetBuckets(); len(b) > 0 {
		words = append(words, "--buckets="+joined(b, ","))
	}
	add("memory", o.GetMemoryBytes()>>20)
	for _, w := range o.GetWarm() {
		words = append(words, fmt.Sprintf("--warm=%s:%s=%v", w.GetInput(), joined(w.GetShape(), "x"), w.GetValue()))
	}
	return strings.Join(words, " ")
}

func joined(ns []int64, by string) string {
	var words []string
	for _, n := range ns {
		words = append(words, strconv.FormatInt(n, 10))
	}
	return strings.Join(words, by)
}
