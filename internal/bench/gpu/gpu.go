// Package gpu is the suite that times the OCR models on each execution provider that the machine has beside the CPU: one
// run after another at several batch sizes, and callers of single rows through the batcher. It runs on request only, since
// few machines have a GPU.
package gpu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/internal/rig"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// Suite returns the suite. It needs what `make setup` fetches, and for CUDA another ONNX Runtime, which ONNXRUNTIME_LIB
// names.
func Suite() report.Suite {
	return report.Suite{
		Name: "gpu", OnRequest: true,
		Doc: "the OCR models on each execution provider beside the CPU",
		Run: run,
	}
}

// model is one of the models with the shape of one row.
type model struct {
	name string
	row  []int64
	rows []int64 // batch sizes
}

func models() []model {
	return []model{
		{"ppocr-det", []int64{3, 640, 640}, []int64{1, 4}},
		{"ppocr-rec", []int64{3, 48, 320}, []int64{1, 8, 32}},
	}
}

func run(ctx context.Context, r *report.Report) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	rt, _, err := subject.Runtime(ctx, root, 0)
	if err != nil {
		return err
	}
	for _, m := range models() {
		path, _ := rig.ModelFile(root, m.name)
		file, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%w: run make setup", err)
		}
		for _, where := range []string{"cpu", "require:webgpu", "require:cuda:0", "require:tensorrt:0"} {
			if err := m.on(ctx, r, rt, file, where); err != nil {
				return fmt.Errorf("%s on %s: %w", m.name, where, err)
			}
		}
	}
	return nil
}

// on measures m on one provider, or nothing when the machine does not have it.
func (m model) on(ctx context.Context, r *report.Report, rt *onnx.Runtime, file []byte, where string) (err error) {
	providers, err := onnx.ParseProviders(where)
	if err != nil {
		return err
	}
	began := time.Now()
	run, err := rt.Load(ctx, file, onnx.Options{Providers: providers})
	if errors.Is(err, runners.ErrUnavailable) {
		r.Note(fmt.Sprintf("%s: %v", m.name, err))
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	r.Note(fmt.Sprintf("%s runs on %s", m.name, run.Placement()))
	name := m.name + " " + run.Placement().Provider
	r.Add(name+" load", load.Milliseconds(time.Since(began)), "ms")
	if err := m.differs(ctx, r, rt, file, run, name); err != nil {
		return err
	}
	for _, rows := range m.rows {
		if err := m.loop(ctx, r, run, name, rows); err != nil {
			return err
		}
	}
	return m.callers(ctx, r, run, name)
}

// duration is how long each figure is measured.
func duration(r *report.Report) time.Duration {
	if r.Quick {
		return 200 * time.Millisecond
	}
	return 2 * time.Second
}

// loop runs batches of so many rows, one after the other.
func (m model) loop(ctx context.Context, r *report.Report, run runners.Runner, name string, rows int64) error {
	in := []runners.Tensor{m.input(rows)}
	call := func(ctx context.Context, _ int) error { return subject.Once(ctx, run, in) }
	if err := call(ctx, 0); err != nil { // outside the clock: a device plans for a shape that it sees the first time
		return err
	}
	res, err := load.Loop{Duration: duration(r), Warmup: duration(r) / 4, MinCalls: 1}.Run(ctx, call)
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("%s, batches of %d", name, rows)
	r.Add(prefix+" throughput", res.PerSecond()*float64(rows), "rows/s")
	r.Add(prefix+" p50", load.Milliseconds(res.Latency.Quantile(.5)), "ms")
	r.Add(prefix+" p99", load.Milliseconds(res.Latency.Quantile(.99)), "ms")
	return nil
}

// callers has callers of one row each meet in the batcher.
func (m model) callers(ctx context.Context, r *report.Report, run runners.Runner, name string) error {
	for _, callers := range []int{1, 16, 64} {
		b := batch.New(runner{run}, batch.Config{Concurrency: 2, MaxRows: int(m.rows[len(m.rows)-1])})
		in := []runners.Tensor{m.input(1)}
		res, err := load.Loop{Callers: callers, Duration: duration(r), Warmup: duration(r), MinCalls: 1}.Run(ctx,
			func(ctx context.Context, _ int) error { return subject.Once(ctx, b, in) })
		if err := errors.Join(err, b.Close()); err != nil {
			return err
		}
		stats := b.Stats()
		prefix := fmt.Sprintf("%s, batcher, %d callers", name, callers)
		r.Add(prefix+" throughput", res.PerSecond(), "rows/s")
		r.Add(prefix+" p50", load.Milliseconds(res.Latency.Quantile(.5)), "ms")
		r.Add(prefix+" p99", load.Milliseconds(res.Latency.Quantile(.99)), "ms")
		r.Add(prefix+" rows in a run", float64(stats.Rows)/float64(max(stats.Runs, 1)), "rows")
	}
	return nil
}

// runner keeps the batcher from closing what it runs.
type runner struct{ runners.Runner }

// Close does nothing.
func (runner) Close() error { return nil }

// differs adds how far the answers on run are from the CPU's.
func (m model) differs(ctx context.Context, r *report.Report, rt *onnx.Runtime, file []byte, run *onnx.Model, name string) (err error) {
	if run.Placement().Provider == onnx.CPU {
		return nil
	}
	cpu, err := rt.Load(ctx, file, onnx.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	in := []runners.Tensor{m.input(2)}
	var outs [2][]runners.Tensor
	for i, on := range []runners.Runner{cpu, run} {
		outs[i] = make([]runners.Tensor, len(on.Signature().Outputs))
		if err := on.Run(ctx, in, outs[i]); err != nil {
			return err
		}
	}
	most := 0.0
	for i := range outs[0] {
		a, b := outs[0][i].Data, outs[1][i].Data
		if len(a) != len(b) {
			return fmt.Errorf("output %d has %d bytes, on the CPU %d", i, len(b), len(a))
		}
		for at := 0; at+4 <= len(a); at += 4 {
			most = max(most, math.Abs(float64(float(a[at:])-float(b[at:]))))
		}
		outs[0][i].Release()
		outs[1][i].Release()
	}
	r.Add(name+" largest difference to the CPU", most, "of 1")
	return nil
}

func float(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// input returns so many rows of noise, the same in every run.
func (m model) input(rows int64) runners.Tensor {
	shape := append([]int64{rows}, m.row...)
	n, _ := runners.Elements(shape)
	data := make([]byte, 4*n)
	subject.Noise(data)
	return runners.Tensor{DType: runners.FP32, Shape: shape, Data: data}
}
