package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// target is a fuzz target: a function of a package's tests.
type target struct {
	dir     string // of the package, relative to the working folder
	pkg     string // its import path
	name    string
	program string // the package's tests, instrumented; set when they are built
}

func (t *target) String() string { return t.dir + " " + t.name }

// find returns the fuzz targets of a module that this machine builds, in the order of their packages.
func find(ctx context.Context, module string) ([]target, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = module
	cmd.Stderr = os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", module, err)
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var targets []target
	for dec := json.NewDecoder(bytes.NewReader(list)); ; {
		var pkg struct {
			Dir, ImportPath           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return targets, nil
		} else if err != nil {
			return nil, err
		}
		dir, err := filepath.Rel(here, pkg.Dir)
		if err != nil {
			return nil, err
		}
		for _, file := range append(pkg.TestGoFiles, pkg.XTestGoFiles...) {
			names, err := fuzzFunctions(filepath.Join(pkg.Dir, file))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				targets = append(targets, target{dir: dir, pkg: pkg.ImportPath, name: name})
			}
		}
	}
}

// fuzzFunctions returns the names of the fuzz targets in a file.
func fuzzFunctions(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}

// result is what came of a target.
type result struct {
	target  *target
	failed  bool
	crasher string // the file of the input that did it, "" when it is not known
	output  []byte
	took    time.Duration
}

var (
	executed = regexp.MustCompile(`execs: (\d+)`)
	written  = regexp.MustCompile(`(?m)^\s*Failing input written to (\S+)$`)
	seed     = regexp.MustCompile(`testing seed corpus entry: (\S+)`)
)

func (r result) String() string {
	took := r.took.Round(100 * time.Millisecond)
	if r.failed {
		return fmt.Sprintf("FAILED after %v", took)
	}
	execs := "its corpus"
	if all := executed.FindAllSubmatch(r.output, -1); len(all) > 0 {
		execs = string(all[len(all)-1][1]) + " inputs"
	}
	return fmt.Sprintf("%s in %v", execs, took)
}

// build builds the tests of the target's package with what guides the fuzzer into folder.
func (t *target) build(ctx context.Context, folder string) error {
	t.program = filepath.Join(folder, strings.ReplaceAll(t.pkg, "/", "_")+".test")
	if _, err := os.Stat(t.program); err == nil {
		return nil // for another target of the package
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-fuzz", "^"+t.name+"$", "-o", t.program, ".")
	cmd.Dir = t.dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests of %s: %w\n%s", t.dir, err, output)
	}
	return nil
}

// outlast is how long a target may take beyond its time: to run its corpus, and to make a failing input smaller.
const outlast = 5 * time.Minute

// fuzz runs the target, which was built. What it learns is kept in a folder below cache, as the go command does. The error is that
// of the machine, not of the target.
func (t *target) fuzz(ctx context.Context, d time.Duration, cache string) (result, error) {
	for attempt := 0; ; attempt++ {
		r, err := t.once(ctx, d, cache)
		// Go's fuzzer now and then fails because its own time is up, when no input did.
		if err == nil && r.failed && r.crasher == "" && attempt == 0 && bytes.Contains(r.output, []byte("context deadline exceeded")) {
			continue
		}
		return r, err
	}
}

func (t *target) once(ctx context.Context, d time.Duration, cache string) (result, error) {
	limited, cancel := context.WithTimeout(ctx, d+outlast)
	defer cancel()
	cmd := exec.CommandContext(limited, t.program, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+d.String(), // #nosec G204 -- built above
		"-test.fuzzminimizetime=10s", "-test.fuzzcachedir="+filepath.Join(cache, t.pkg))
	cmd.Dir = t.dir
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return result{}, err
	}
	r := result{target: t, failed: err != nil, output: output, took: time.Since(began)}
	if path := written.FindSubmatch(output); path != nil {
		r.crasher = filepath.Join(t.dir, string(path[1]))
	} else if name := seed.FindSubmatch(output); name != nil {
		r.crasher = string(name[1]) + ", of the corpus"
	}
	return r, nil
}

// cacheDir returns where the go command keeps what fuzzing has found.
func cacheDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("find Go's cache: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "fuzz"), nil
}
