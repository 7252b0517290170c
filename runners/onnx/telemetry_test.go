//go:build cgo && (linux || darwin)

package onnx_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// telemetryEnv makes TestTelemetryIsOff the process that is watched.
const telemetryEnv = "TANDEM_TEST_TELEMETRY"

// TestTelemetryIsOff runs a model in a process with an empty home folder. ONNX Runtime's telemetry keeps an id and events that were
// not sent yet there, and complains when it cannot: so neither may be, with a home to write to and without.
func TestTelemetryIsOff(t *testing.T) {
	if os.Getenv(telemetryEnv) != "" {
		runOnce(t)
		return
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for name, dir := range map[string]string{"a home": home, "no home": filepath.Join(os.DevNull, "home")} {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestTelemetryIsOff$")
		cmd.Env = []string{telemetryEnv + "=1", "HOME=" + dir, "TMPDIR=" + dir, "ONNXRUNTIME_LIB=" + library(t), "ORT_DISABLE_TELEMETRY=0"}
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, said)
		}
		if !bytes.Contains(said, []byte("ran")) || bytes.Contains(said, []byte("onnx runtime")) || bytes.Contains(bytes.ToLower(said), []byte("telemetry")) {
			t.Errorf("%s: it said %q, want that it ran and nothing else", name, said)
		}
	}
	err = filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		if path != home {
			t.Errorf("%s was written", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// runOnce runs a model and writes what ONNX Runtime logs meanwhile.
func runOnce(t *testing.T) {
	t.Helper()
	rt, err := onnx.Open(t.Context(), onnx.Config{Library: library(t), Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		t.Fatal(err)
	}
	m, err := rt.Load(t.Context(), onnxtest.AddSub().Bytes(), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]runners.Tensor, 2)
	if err := m.Run(t.Context(), []runners.Tensor{runnertest.FP32([]int64{1, 3}, 1, 2, 3), runnertest.FP32([]int64{1, 3}, 4, 5, 6)}, out); err != nil {
		t.Fatal(err)
	}
	out[0].Release()
	out[1].Release()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("ran\n")
}
