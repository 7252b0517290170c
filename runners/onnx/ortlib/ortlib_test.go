package ortlib_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	below := filepath.Join(root, "a", "b")
	lib := ortlib.Path(root)
	for _, dir := range []string{below, filepath.Dir(lib)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{}
	getenv := func(k string) string { return env[k] }

	_, err := ortlib.Find(getenv, below)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "make setup") {
		t.Fatalf("without a library: got %v, want fs.ErrNotExist and how to get it", err)
	}
	if err := os.WriteFile(lib, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ortlib.Find(getenv, below); err != nil || got != lib {
		t.Fatalf("in the cache above: got %q, %v, want %q", got, err, lib)
	}
	other := filepath.Join(root, "other.so")
	env[ortlib.Env] = other
	if _, err := ortlib.Find(getenv, below); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), ortlib.Env) {
		t.Fatalf("%s without its file: got %v, want fs.ErrNotExist naming the variable", ortlib.Env, err)
	}
	if err := os.WriteFile(other, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ortlib.Find(getenv, below); err != nil || got != other {
		t.Fatalf("%s set: got %q, %v, want %q", ortlib.Env, got, err, other)
	}
	env[ortlib.Env] = root
	if _, err := ortlib.Find(getenv, below); err == nil {
		t.Fatalf("%s names a folder: got no error", ortlib.Env)
	}
}
