//go:build cgo && linux

package onnx_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// alone runs the test in a process of its own, where nothing else makes threads or takes memory, and reports whether this
// is that process.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("TANDEM_TEST_ALONE") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "TANDEM_TEST_ALONE="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	t.Logf("in a process of its own:\n%s", out)
	return false
}

func threads(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// residentMB returns the megabytes of memory that the process holds.
func residentMB(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// The threads of the process do not grow with the models that share its pool; those of models with threads of their own do.
func TestThreads(t *testing.T) {
	if !alone(t) {
		return
	}
	runtime, err := onnx.Open(t.Context(), onnx.Config{Library: library(t), Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	load := func(n int, options onnx.Options) (grown int) {
		before := threads(t)
		for range n {
			m, err := runtime.Load(t.Context(), onnxtest.AddSub().Bytes(), options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
			in := []runners.Tensor{runnertest.FP32([]int64{1, 3}, 1, 2, 3), runnertest.FP32([]int64{1, 3}, 1, 2, 3)}
			out := make([]runners.Tensor, 2)
			if err := m.Run(t.Context(), in, out); err != nil {
				t.Fatal(err)
			}
			out[0].Release()
			out[1].Release()
		}
		return threads(t) - before
	}
	const slack = 3 // Go may start threads of its own meanwhile
	first := threads(t)
	shared, single, own := load(10, onnx.Options{}), load(10, onnx.Options{Threads: 1}), load(10, onnx.Options{Threads: 3})
	t.Logf("threads: %d with the library, +%d for 10 models that share, +%d for 10 with Threads 1, +%d for 10 with Threads 3", first, shared, single, own)
	if shared > slack || single > slack || own < 20 || own > 20+slack {
		t.Errorf("got +%d, +%d, +%d threads, want 0, 0, 20", shared, single, own)
	}
}

// What runs and models take is given back.
func TestMemory(t *testing.T) {
	if !alone(t) {
		return
	}
	echo := load(t, onnxtest.Identity(runners.FP32, nil), onnx.Options{})
	words := load(t, onnxtest.Identity(runners.BYTES, nil), onnx.Options{})
	document := load(t, onnxtest.ZipMap([]int64{0, 1}), onnx.Options{})
	broken := load(t, onnxtest.Broken(), onnx.Options{})
	ended, cancel := context.WithCancel(t.Context())
	slow := load(t, onnxtest.Slow(), onnx.Options{})
	cancel()
	big := runnertest.FP32([]int64{256 << 10}, make([]float32, 256<<10)...)
	misfit := []runners.Tensor{{DType: runners.FP32, Shape: []int64{1, 256 << 10}, Data: make([]byte, 1<<20)}}
	round := func() {
		for _, test := range []struct {
			ctx   context.Context
			model *onnx.Model
			in    []runners.Tensor
			out   []runners.Tensor
		}{
			{t.Context(), echo, []runners.Tensor{big}, nil},
			{t.Context(), echo, []runners.Tensor{big}, misfit},
			{t.Context(), words, []runners.Tensor{runnertest.Strings([]int64{2}, strings.Repeat("x", 100_000), "y")}, nil},
			{t.Context(), document, []runners.Tensor{runnertest.FP32([]int64{500, 2}, make([]float32, 1000)...)}, nil},
			{t.Context(), broken, []runners.Tensor{big}, nil},
			{ended, slow, []runners.Tensor{runnertest.INT64([]int64{}, 9), runnertest.FP32([]int64{1, 1}, 1)}, nil},
		} {
			if test.out == nil {
				test.out = make([]runners.Tensor, 1)
			}
			if err := test.model.Run(test.ctx, test.in, test.out); err == nil {
				test.out[0].Release()
			}
		}
		m, err := open(t).Load(t.Context(), onnxtest.AddSub().Bytes(), onnx.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		round()
	}
	before := residentMB(t)
	const rounds = 300 // of more than 1 MB each
	for range rounds {
		round()
	}
	after := residentMB(t)
	t.Logf("%d MB before, %d MB after %d rounds", before, after, rounds)
	if after > before+60 {
		t.Errorf("memory grew from %d MB to %d MB in %d rounds", before, after, rounds)
	}
}

// What ONNX Runtime has to say goes to slog and not to standard error.
func TestLog(t *testing.T) {
	if !alone(t) {
		return
	}
	var log bytes.Buffer
	runtime, err := onnx.Open(t.Context(), onnx.Config{Library: library(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	unused := onnxtest.AddSub()
	for i := range 100 {
		unused.Graph.Inits = append(unused.Graph.Inits, onnxtest.Tensor{Name: "unused" + strconv.Itoa(i), DType: runners.FP32, Dims: []int64{1}, Raw: make([]byte, 4)})
	}
	m, err := runtime.Load(t.Context(), unused.Bytes(), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) < 10 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "unused") {
		t.Errorf("got %d lines, the first %q, want warnings about unused weights", len(lines), lines[0])
	}
	if len(lines) > 65 {
		t.Errorf("got %d lines: the ring holds 64", len(lines))
	}
}
