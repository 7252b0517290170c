//go:build cgo && linux

package onnx_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// cudaCopies names the file in which the library in testdata/cuda_copies.c notes copies.
const cudaCopies = "TANDEM_CUDA_COPIES"

// TestCUDA runs on machines with an NVIDIA GPU and an ONNX Runtime that has CUDA (ONNXRUNTIME_LIB).
func TestCUDA(t *testing.T) {
	options := providers(t, "require:cuda:0")
	m, err := open(t).Load(t.Context(), onnxtest.AddSub().Bytes(), options)
	if errors.Is(err, runners.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Placement().String(); got != "cuda:0: 2 operators" {
		t.Errorf("got %s", got)
	}
	if got := addSub(t, m); got != [2]float32{3, -1} {
		t.Errorf("got %v, want 3 and -1", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("copies", func(t *testing.T) {
		if os.Getenv(cudaCopies) == "" {
			countInChild(t)
			return
		}
		testCopies(t, options)
	})
	if os.Getenv(cudaCopies) != "" {
		return
	}
	t.Run("shapes of one size", func(t *testing.T) {
		testSameSize(t, load(t, onnxtest.Identity(runners.FP32, []runners.Dim{{Size: -1}, {Size: -1}}), options))
	})
	t.Run("conformance", func(t *testing.T) {
		m := makers(providers(t, "prefer:cuda:0"))
		m.Broken = nil // as on WebGPU
		runnertest.Test(t, m)
	})
}

// countInChild runs this test again with the library before CUDA's.
func countInChild(t *testing.T) {
	t.Helper()
	lib := filepath.Join(t.TempDir(), "copies.so")
	source := filepath.Join("testdata", "cuda_copies.c")
	if out, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-O1", "-o", lib, source, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestCUDA$/^copies$", "-test.v")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+lib, cudaCopies+"="+filepath.Join(t.TempDir(), "copies"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// testCopies: eight callers' rows that make one batch go to the device in one copy for each input, and the results come back
// in one for each output.
func testCopies(t *testing.T, options onnx.Options) {
	t.Helper()
	const rows, row = 8, 12 // bytes of a row of three
	var runs []batch.Batch
	var mu sync.Mutex
	b := batch.New(load(t, onnxtest.AddSub(), options), batch.Config{MaxRows: rows, MaxDelay: 1 << 40, OnBatch: func(r batch.Batch) {
		mu.Lock()
		defer mu.Unlock()
		runs = append(runs, r)
	}})
	const times = 5
	for range times {
		var wg sync.WaitGroup
		for range rows {
			wg.Go(func() {
				if got := addSub(t, b); got != [2]float32{3, -1} {
					t.Errorf("got %v, want 3 and -1", got)
				}
			})
		}
		wg.Wait()
	}
	if len(runs) != times {
		t.Fatalf("got %d runs, want %d: %v", len(runs), times, runs)
	}
	got := map[string]int{}
	for _, c := range copiesSoFar(t) {
		got[c]++
	}
	to, from := fmt.Sprint("1 ", rows*row), fmt.Sprint("2 ", rows*row)
	if got[to] != 2*times || got[from] != 2*times {
		t.Errorf("%d runs of 2 inputs and 2 outputs of %d bytes: got the copies %v (1 to the device, 2 from it), want %d of each", times, rows*row, got, 2*times)
	}
	t.Logf("copies (kind and bytes: how many): %v", got)
}

func copiesSoFar(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(os.Getenv(cudaCopies))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		out = append(out, lines.Text())
	}
	return out
}
