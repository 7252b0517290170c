package lint

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, name string, mode parser.Mode) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPackageComments wants one package comment per package, in the file named after the package; a program's may stand
// in main.go or in the file named after its folder.
func TestPackageComments(t *testing.T) {
	for _, p := range load(t) {
		if generated(p) || len(p.files()) == 0 {
			continue
		}
		var with []string
		for _, name := range p.files() {
			if f := parse(t, name, parser.PackageClauseOnly|parser.ParseComments); f.Doc != nil && f.Doc.Text() != "" {
				with = append(with, filepath.Base(name))
			}
		}
		if len(with) != 1 {
			t.Errorf("%s: %d files have a package comment %v, want one", p.rel(), len(with), with)
			continue
		}
		want := p.Name + ".go"
		if p.Name == "main" {
			want = filepath.Base(p.Dir) + ".go"
		}
		if with[0] != want && (p.Name != "main" || with[0] != "main.go") {
			t.Errorf("%s: the package comment is in %s, want it in %s", p.rel(), with[0], want)
		}
	}
}

// TestLeakChecks wants goleak.VerifyTestMain in every package that starts goroutines. Conformance suites, whose names end in
// "test", start theirs in their users' tests; what lies in internal/ never ships.
func TestLeakChecks(t *testing.T) {
	for _, p := range load(t) {
		if p.Name == "main" || strings.HasSuffix(p.Name, "test") || generated(p) || strings.HasPrefix(p.rel(), "internal/") ||
			strings.HasPrefix(p.rel(), "sdk/go/") { // the Go plugin SDK has no dependencies and a guest has one thread
			continue
		}
		starts := ""
		for _, name := range p.files() {
			ast.Inspect(parse(t, name, parser.SkipObjectResolution), func(n ast.Node) bool {
				if _, ok := n.(*ast.GoStmt); ok {
					starts = filepath.Base(name)
				}
				return true
			})
		}
		if starts != "" && !mentions(t, p.tests(), "goleak.VerifyTestMain") {
			t.Errorf("%s: %s starts goroutines but no test calls goleak.VerifyTestMain", p.rel(), starts)
		}
	}
}

// TestNoSleep bans time.Sleep from tests, except in files that use testing/synctest, where time is fake, and in the
// end-to-end tests, which kill a real process at a random moment.
func TestNoSleep(t *testing.T) {
	for _, p := range load(t) {
		if p.rel() == "internal/lint" || p.rel() == "internal/e2e" {
			continue
		}
		for _, name := range p.tests() {
			if mentions(t, []string{name}, "time.Sleep(") && !mentions(t, []string{name}, `"testing/synctest"`) {
				t.Errorf("%s/%s sleeps: wait for an event, or use testing/synctest", p.rel(), filepath.Base(name))
			}
		}
	}
}

// TestFileLength wants files that can be read at one go.
func TestFileLength(t *testing.T) {
	const limit = 800
	for _, p := range load(t) {
		if generated(p) {
			continue
		}
		for _, name := range append(p.files(), p.tests()...) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(data, []byte("\n")); n > limit {
				t.Errorf("%s/%s has %d lines, want at most %d: a file holds one thing", p.rel(), filepath.Base(name), n, limit)
			}
		}
	}
}

func mentions(t *testing.T, names []string, text string) bool {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}
