package onnx_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the models in testdata")

// TestGoldenModels keeps the models of onnxtest as files too, for people and programs that want some: the sound ones in
// testdata, the others in testdata/bad. Run it with -update after a change.
func TestGoldenModels(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for name, m := range good() {
		files[filepath.Join("testdata", name+".onnx")] = m.Bytes()
	}
	for name, b := range bad() {
		files[filepath.Join("testdata", "bad", name+".onnx")] = b.model
	}
	for path, model := range files {
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, model, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, model) {
			t.Errorf("%s is not what onnxtest makes: run go test -update", path)
		}
	}
	found, err := filepath.Glob(filepath.Join("testdata", "*", "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	sound, err := filepath.Glob(filepath.Join("testdata", "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(found, sound...) {
		if _, ok := files[path]; !ok {
			t.Errorf("%s is left over", path)
		}
	}
}
