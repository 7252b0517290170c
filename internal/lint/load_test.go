package lint

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/tandem-serve/tandem"
	root   = "../.."
)

// pkg is what `go list` says about a package.
type pkg struct {
	ImportPath, Name, Dir             string
	Imports                           []string
	GoFiles, CgoFiles, IgnoredGoFiles []string
	TestGoFiles, XTestGoFiles         []string
}

// rel returns p's path below the module, "." for the module itself.
func (p pkg) rel() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

// files returns the absolute names of p's own files for every platform, without tests.
func (p pkg) files() []string {
	var names []string
	for _, list := range [][]string{p.GoFiles, p.CgoFiles, p.IgnoredGoFiles} {
		for _, f := range list {
			if !strings.HasSuffix(f, "_test.go") {
				names = append(names, filepath.Join(p.Dir, f))
			}
		}
	}
	return names
}

// tests returns the absolute names of p's test files for this platform.
func (p pkg) tests() []string {
	var names []string
	for _, f := range append(p.TestGoFiles, p.XTestGoFiles...) {
		names = append(names, filepath.Join(p.Dir, f))
	}
	return names
}

// packages returns all packages of the main module and of the modules inside it, with what they import natively and as
// plugins.
var packages = sync.OnceValues(func() ([]pkg, error) {
	merged := map[string]pkg{}
	for _, dir := range []string{root, filepath.Join(root, "sdk/go")} {
		native, err := goList(dir)
		if err != nil {
			return nil, err
		}
		plugin, err := goList(dir, "GOOS=wasip1", "GOARCH=wasm")
		if err != nil {
			return nil, err
		}
		for _, p := range append(native, plugin...) {
			m, ok := merged[p.ImportPath]
			if !ok || len(m.GoFiles)+len(m.CgoFiles) == 0 {
				m = p
			}
			// Only plugins and their SDK run as Wasm; what the rest would import there is never built.
			if layer := layerOf(p.ImportPath); !ok || layer == "plugins" || layer == "sdk/go" {
				m.Imports = append(m.Imports, p.Imports...)
			}
			merged[p.ImportPath] = m
		}
	}
	return slices.SortedFunc(maps.Values(merged), func(a, b pkg) int { return strings.Compare(a.ImportPath, b.ImportPath) }), nil
})

func goList(dir string, env ...string) ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Imports,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go list: " + err.Error() + ": " + stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

// load returns all packages or ends the test.
func load(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func generated(p pkg) bool { return strings.HasPrefix(p.rel(), "proto/gen") }
