package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/madeup"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// Measured is what loading and running a model on this machine showed.
type Measured struct {
	// Library is the version of ONNX Runtime.
	Library string `json:"library"`
	// Threads is how many threads worked on one operator.
	Threads int `json:"threads"`
	// LoadMillis is how long loading took, in milliseconds.
	LoadMillis float64 `json:"loadMillis"`
	// Providers are the execution providers that the library has, and whether each can run the model here.
	Providers []Provider `json:"providers"`
	// LoadedBytes is by how much the process grew while it loaded the model, PeakBytes by how much it had grown at its largest;
	// 0 where the system does not tell.
	LoadedBytes int64 `json:"loadedBytes"`
	PeakBytes   int64 `json:"peakBytes"`
	// Runs are the latencies by rows; the first run, which is slower, is not among them. Empty when no run succeeded.
	Runs []Runs `json:"runs,omitempty"`
	// Shapes are the inputs of a run of one row, as "name [1,16]".
	Shapes []string `json:"shapes,omitempty"`
	// NotRun says why the model could not be run on inputs that were made up.
	NotRun string `json:"notRun,omitempty"`
}

// Provider is an execution provider.
type Provider struct {
	Name string `json:"name"`
	// Runs tells that it can run the model, in whole or in part; Says is where the operators ran, or what it lacks.
	Runs bool   `json:"runs"`
	Says string `json:"says,omitempty"`
}

// Runs are some runs of the same shape.
type Runs struct {
	Rows         int64   `json:"rows"`
	Count        int     `json:"count"`
	MedianMillis float64 `json:"medianMillis"`
	MinMillis    float64 `json:"minMillis"`
}

// Bounds of what is measured for each number of rows.
const (
	maxRuns    = 50
	maxRunTime = 400 * time.Millisecond
)

// Measure loads the model, which [Read] has read into r, and runs it; what it finds goes into r. That the model cannot be
// served is a fault in r. The error tells that nothing could be measured, for one because ctx ended.
func Measure(ctx context.Context, rt *onnx.Runtime, model []byte, with madeup.Config, r *Report) error {
	before := resident()
	begin := time.Now()
	m, err := rt.Load(ctx, model, onnx.Options{})
	if err != nil {
		if errors.Is(err, runners.ErrModel) {
			r.fault(err)
			return nil
		}
		return err
	}
	got := &Measured{Library: rt.Version(), Threads: rt.Threads(), LoadMillis: millis(time.Since(begin)), LoadedBytes: grown(before)}
	r.Measured = got
	r.describe(m.Signature())
	defer func() { _ = m.Close() }() // it waits for runs and there are none
	err = got.run(ctx, m, with, r.NotBatched == "")
	if peak := peakResident(); peak > 0 && before > 0 {
		got.PeakBytes = max(peak-before, 0)
	}
	if err != nil {
		return err
	}
	got.Providers = providers(ctx, rt, model)
	return ctx.Err()
}

// run measures the latency for some numbers of rows. Only the end of ctx is an error.
func (got *Measured) run(ctx context.Context, m runners.Runner, with madeup.Config, batched bool) error {
	ports := m.Signature().Inputs
	if slices.ContainsFunc(ports, func(p runners.Port) bool { return p.Dims == nil }) {
		got.NotRun = "an input has an open number of dimensions, and nothing tells which to try"
		return nil
	}
	size, err := with.Find(ctx, ports, func(in []runners.Tensor) error {
		_, err := runners.Once(ctx, m, in)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		got.NotRun = err.Error()
		return nil
	}
	rows := []int64{1}
	if batched {
		rows = []int64{1, 8, 32}
	}
	for _, n := range rows {
		in, err := with.Inputs(ports, n, size)
		if err != nil {
			return nil //nolint:nilerr // more rows would be too large to be made up
		}
		if n == 1 {
			for i := range in {
				got.Shapes = append(got.Shapes, fmt.Sprintf("%s %s", ports[i].Name, strings.ReplaceAll(fmt.Sprint(in[i].Shape), " ", ",")))
			}
		}
		runs, err := latency(ctx, m, in)
		if err != nil {
			return err
		}
		runs.Rows = n
		got.Runs = append(got.Runs, runs)
	}
	return nil
}

// latency runs the model on in until there are enough runs.
func latency(ctx context.Context, m runners.Runner, in []runners.Tensor) (Runs, error) {
	if _, err := runners.Once(ctx, m, in); err != nil {
		return Runs{}, err
	}
	var took []time.Duration
	for begin := time.Now(); len(took) == 0 || len(took) < maxRuns && time.Since(begin) < maxRunTime; {
		run, err := runners.Once(ctx, m, in)
		if err != nil {
			return Runs{}, err
		}
		took = append(took, run)
	}
	slices.Sort(took)
	return Runs{Count: len(took), MedianMillis: millis(took[len(took)/2]), MinMillis: millis(took[0])}, nil
}

// providers loads the model on each provider of the library.
func providers(ctx context.Context, rt *onnx.Runtime, model []byte) []Provider {
	out := []Provider{{Name: onnx.CPU, Runs: true}}
	for _, name := range rt.Providers() {
		if name == onnx.CPU {
			continue
		}
		out = append(out, onProvider(ctx, rt, model, name))
	}
	return out
}

// onProvider loads the model on one provider.
func onProvider(ctx context.Context, rt *onnx.Runtime, model []byte, name string) Provider {
	p := Provider{Name: name}
	wanted, err := onnx.ParseProviders("prefer:" + name)
	if err != nil {
		p.Says = "Tandem does not use it"
		return p
	}
	m, err := rt.Load(ctx, model, onnx.Options{Providers: wanted})
	if err != nil {
		p.Says = err.Error()
		return p
	}
	defer func() { _ = m.Close() }() // it waits for runs and there are none
	placement := m.Placement()
	if p.Runs = placement.Provider == name; p.Runs {
		p.Says = placement.String()
	} else {
		p.Says = strings.Join(placement.Missed, "; ")
	}
	return p
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// grown returns by how much the process has grown since it had before bytes.
func grown(before int64) int64 {
	if now := resident(); before > 0 && now > before {
		return now - before
	}
	return 0
}

// resident returns the bytes of memory that the process holds, 0 where the system does not tell.
func resident() int64 { return statusBytes("VmRSS:") }

// peakResident returns the most that it ever held.
func peakResident() int64 { return statusBytes("VmHWM:") }

// statusBytes reads one line of Linux's account of the process.
func statusBytes(name string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var n int64
		if rest, ok := strings.CutPrefix(line, name); ok {
			if _, err := fmt.Sscanf(rest, "%d kB", &n); err == nil {
				return n << 10
			}
		}
	}
	return 0
}
