package graph_test

import (
	"errors"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
)

var update = flag.Bool("update", false, "write what the code says into the expected parts of testdata")

// corpus runs one test for every document (.yaml or .json) of the archives under dir; answer gives what its .want should
// hold.
func corpus(t *testing.T, dir string, least int, answer func(t *testing.T, src []byte) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		a := readArchive(t, file)
		wants := map[string]string{}
		var out []archiveFile
		for _, f := range a.files {
			if base, ok := strings.CutSuffix(f.name, ".want"); ok {
				wants[base] = string(f.data)
			}
		}
		for _, f := range a.files {
			if strings.HasSuffix(f.name, ".want") {
				continue
			}
			count++
			theme := strings.TrimSuffix(filepath.Base(file), ".txtar")
			t.Run(theme+"/"+f.name, func(t *testing.T) {
				out = append(out, f)
				got := answer(t, f.data)
				out = append(out, archiveFile{name: f.name + ".want", data: []byte(got)})
				if want := wants[f.name]; !*update && got != want {
					t.Errorf("%s\n%s", f.data, cmp.Diff(want, got))
				}
			})
		}
		if *update {
			a.files = out
			a.write(t, file)
		}
	}
	if count < least {
		t.Errorf("got %d documents under %s, want at least %d", count, dir, least)
	}
}

func diagnosis(t *testing.T, err error) string {
	t.Helper()
	var faults graph.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v, want faults", err)
	}
	var b strings.Builder
	for _, f := range faults {
		b.WriteString(f.Error())
		if f.Path != "" {
			b.WriteString(" at with" + f.Path)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestWrong(t *testing.T) {
	w := newWorld(t)
	seen := map[graph.Code]bool{}
	corpus(t, "wrong", 300, func(t *testing.T, src []byte) string {
		t.Helper()
		_, err := graph.Check(src, w)
		if err == nil {
			t.Fatalf("got no fault:\n%s", src)
		}
		if faults, ok := errors.AsType[graph.Faults](err); ok {
			for _, f := range faults {
				seen[f.Code] = true
			}
		}
		return diagnosis(t, err)
	})
	// This bound is too long to write down; it has a test of its own.
	elsewhere := []graph.Code{graph.CodeTooLarge}
	for _, code := range graph.Codes() {
		if !seen[code] && !slices.Contains(elsewhere, code) {
			t.Errorf("no document of the corpus shows %s", code)
		}
	}
}

func TestRight(t *testing.T) {
	w := newWorld(t)
	corpus(t, "right", 100, func(t *testing.T, src []byte) string {
		t.Helper()
		p, err := graph.Check(src, w)
		if err != nil {
			t.Fatalf("%s\n%v", src, err)
		}
		return graph.Text(p)
	})
}
