//go:build cgo && (linux || darwin)

package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/worker"
)

// What a model may take in FuzzModel, and what its end may take beyond that: the worker is killed, and a new one started.
const (
	fuzzLoad = 5 * time.Second
	fuzzRun  = time.Second
	fuzzEnd  = 10 * time.Second
)

// FuzzModel takes a file the way that a model goes: through the check and, when that has nothing against it, into a worker, where
// it is run. Whatever the library makes of it, calls end soon after their deadlines with errors of this package's, another tenant's
// worker goes on, and no process is left over.
func FuzzModel(f *testing.F) {
	for _, m := range []onnxtest.Model{
		onnxtest.AddSub(), onnxtest.NonZero(), onnxtest.Upper(), onnxtest.ZipMap([]int64{0, 1}), onnxtest.ZipMap([]string{"a", "b"}),
		onnxtest.Sequence(runners.FP32), onnxtest.Slow(), onnxtest.Vast(), onnxtest.Broken(), onnxtest.Weighted([]float32{1, 2}, ""),
		onnxtest.Identity(runners.BOOL, nil), onnxtest.Identity(runners.FP16, []runners.Dim{onnxtest.Batch()}),
	} {
		f.Add(m.Bytes())
	}
	p := newPool(f, func(c *worker.Config) {
		c.Logger = slog.New(slog.DiscardHandler)
		c.Memory, c.HangLimit, c.Backoff, c.MaxBackoff = 1<<30, time.Second, time.Millisecond, 10*time.Millisecond
	})
	bystander := loadFor(f, p, worker.Key{Tenant: "bob"}, onnxtest.AddSub())
	pid := bystander.PID()
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 64<<10 {
			return
		}
		if err := onnx.Check(file, onnx.Limits{}); err != nil {
			if !errors.Is(err, runners.ErrModel) {
				t.Errorf("the check: got %v, want ErrModel", err)
			}
			return
		}
		loadAndRun(t, p, file)
		if err := add(t.Context(), bystander); err != nil || bystander.PID() != pid {
			t.Errorf("the other tenant: %v, worker %d was %d", err, bystander.PID(), pid)
		}
		wantWorkers(t, 2)
	})
}

// loadAndRun loads a model of ada's and runs it once, on zeros.
func loadAndRun(t *testing.T, p *worker.Pool, file []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fuzzLoad)
	defer cancel()
	began := time.Now()
	m, err := p.Load(ctx, ada, worker.LoadParams{Label: "fuzz@1", Model: file})
	wantSoon(t, "load", began, fuzzLoad)
	if err != nil {
		wantKnown(t, "load", err)
		return
	}
	defer func() {
		began := time.Now()
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		wantSoon(t, "close", began, 0)
	}()
	in, ok := zeros(m.Signature())
	if !ok {
		return
	}
	ctx, cancel = context.WithTimeout(t.Context(), fuzzRun)
	defer cancel()
	out := make([]runners.Tensor, len(m.Signature().Outputs))
	began = time.Now()
	err = m.Run(ctx, in, out)
	wantSoon(t, "run", began, fuzzRun)
	if err != nil {
		wantKnown(t, "run", err)
		return
	}
	for i := range out {
		n, ok := runners.Elements(out[i].Shape)
		if !ok || !out[i].DType.Valid() || out[i].DType != runners.BYTES && n*int64(out[i].DType.Size()) != int64(len(out[i].Data)) {
			t.Errorf("output %d: %v %v in %d bytes", i, out[i].DType, out[i].Shape, len(out[i].Data))
		}
		out[i].Release()
	}
}

// zeros returns inputs for a model, false when they would be large.
func zeros(sig runners.Signature) ([]runners.Tensor, bool) {
	in := make([]runners.Tensor, len(sig.Inputs))
	for i, port := range sig.Inputs {
		shape := make([]int64, len(port.Dims))
		for k, d := range port.Dims {
			if shape[k] = d.Size; d.Size < 0 {
				shape[k] = 2
			}
		}
		n, ok := runners.Elements(shape)
		if !ok || n > 1<<16 {
			return nil, false
		}
		size := n * int64(port.DType.Size())
		if port.DType == runners.BYTES {
			size = 4 * (n + 1) // strings without a byte
		}
		in[i] = runners.Tensor{DType: port.DType, Shape: shape, Data: make([]byte, size)}
	}
	return in, true
}

// wantSoon makes sure that something that began at a time and was to end within a limit has ended near it.
func wantSoon(t *testing.T, what string, began time.Time, limit time.Duration) {
	t.Helper()
	if took := time.Since(began); took > limit+fuzzEnd {
		t.Errorf("%s: took %v, %v were allowed", what, took, limit)
	}
}

// wantKnown makes sure that an error is one that callers can tell apart.
func wantKnown(t *testing.T, what string, err error) {
	t.Helper()
	for _, known := range []error{
		runners.ErrModel, runners.ErrRun, runners.ErrShape, runners.ErrOverloaded, runners.ErrCrashed, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Errorf("%s: got %v, which callers cannot tell apart", what, err)
}

// wantWorkers makes sure that this process has at most n children, as soon as those that were killed are gone.
func wantWorkers(t *testing.T, n int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	deadline := time.Now().Add(fuzzEnd)
	for {
		tasks, err := filepath.Glob("/proc/self/task/*/children")
		if err != nil {
			t.Fatal(err)
		}
		var pids []string
		for _, task := range tasks {
			b, _ := os.ReadFile(task) // a thread that has ended has none
			pids = append(pids, strings.Fields(string(b))...)
		}
		if len(pids) <= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d processes are left: %v", len(pids), pids)
		}
		runtime.Gosched()
	}
}
