package lint

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the lists of modules again")

// TestLinkedModules compares the modules that are linked into the binary with the accepted list, so that a new dependency
// shows in review.
func TestLinkedModules(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/tandem")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, out)
	}
	mods := strings.Fields(string(out))
	slices.Sort(mods)
	got := strings.Join(slices.Compact(mods), "\n") + "\n"

	golden := filepath.Join("testdata", "deps-tandem.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("modules linked into bin/tandem changed (-accepted +now); if that is meant: go test ./internal/lint -update\n%s", diff)
	}
}

// TestPluginSDKStandsAlone keeps the Go plugin SDK free of dependencies.
func TestPluginSDKStandsAlone(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "sdk/go/go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "require") {
		t.Errorf("sdk/go/go.mod has requirements; the plugin SDK has none:\n%s", data)
	}
}
