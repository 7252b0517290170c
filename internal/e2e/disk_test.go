package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// TestFullDisk fills the disk during an upload: the upload is refused with a reason, what was there stays and answers, and
// when there is room again the server takes uploads again. It needs the right to mount a small disk; package blob injects
// the same fault without one.
func TestFullDisk(t *testing.T) {
	dir := root(t)
	disk := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	s := start(t, rig.Options{Data: filepath.Join(disk, "data")})
	small, err := os.ReadFile(filepath.Join(dir, "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.PushModel(bounded(t), "add", bytes.NewReader(small), int64(len(small))); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := fill(ballast); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 8<<20)
	for i := range large {
		large[i] = byte(rand.IntN(256))
	}
	_, err = s.Client.PushModel(bounded(t), "large", bytes.NewReader(large), int64(len(large)))
	wantFailure(t, err, connect.CodeResourceExhausted, tandemv1.Reason_REASON_STORAGE_FULL)
	if _, err := s.Client.Models.GetModel(bounded(t), &tandemv1.GetModelRequest{Name: "add"}); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	again := append(bytes.Clone(small), 6<<3|2, 1, 'x') // another doc string, so another digest
	if _, err := s.Client.PushModel(bounded(t), "add", bytes.NewReader(again), int64(len(again))); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// fill writes until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); err != nil {
			return f.Close()
		}
	}
}
