package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeModule writes a module with a target that holds, one that does not, and one that is not built here.
func writeModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.com/fuzzed\n\ngo 1.26\n",
		"a.go":      "package fuzzed\n",
		"a_test.go": "package fuzzed\n\nimport \"testing\"\n\nfunc FuzzHolds(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) {}) }\n",
		"b_test.go": "package fuzzed_test\n\nimport \"testing\"\n\nfunc FuzzFails(f *testing.F) {\n\tf.Add(\"x\")\n\tf.Fuzz(func(t *testing.T, s string) {\n\t\tif len(s) > 3 {\n\t\t\tt.Error(\"too long\")\n\t\t}\n\t})\n}\n",
		"c_test.go": "//go:build never\n\npackage fuzzed\n\nimport \"testing\"\n\nfunc FuzzElsewhere(f *testing.F) {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	module := writeModule(t)
	t.Chdir(module)
	t.Setenv("GOFLAGS", "-mod=mod")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-time", "1s", "-only", "Holds", "."}, &out); err != nil || !strings.Contains(out.String(), "1 targets in") {
		t.Errorf("got %v\n%s", err, out.String())
	}
	out.Reset()
	err := run(t.Context(), []string{"-time", "20s", "-only", "Fails", "."}, &out)
	if err == nil || err.Error() != "1 of 1 targets failed" || !strings.Contains(out.String(), "too long") {
		t.Fatalf("got %v\n%s", err, out.String())
	}
	found, err := filepath.Glob(filepath.Join(module, "testdata", "fuzz", "FuzzFails", "*"))
	if err != nil || len(found) != 1 || !strings.Contains(out.String(), filepath.Join("testdata", "fuzz", "FuzzFails", filepath.Base(found[0]))) {
		t.Errorf("the input %v, %v is not named\n%s", found, err, out.String())
	}
	out.Reset()
	if err := run(t.Context(), []string{"-time", "1s", "-only", "Fails", "."}, &out); err == nil || !strings.Contains(out.String(), "of the corpus") {
		t.Errorf("with the input in the corpus: got %v\n%s", err, out.String())
	}
}

func TestFind(t *testing.T) {
	module := writeModule(t)
	t.Chdir(module)
	targets, err := find(t.Context(), ".")
	if err != nil || len(targets) != 2 || targets[0].String() != ". FuzzHolds" || targets[1].String() != ". FuzzFails" {
		t.Errorf("got %v, %v", targets, err)
	}
	if err := run(t.Context(), []string{"-time", time.Second.String(), "-only", "nothing", "."}, os.Stderr); err == nil {
		t.Error("no targets are no error")
	}
}
