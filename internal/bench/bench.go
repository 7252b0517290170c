// Package main of internal/bench runs the benchmark suites of this repository. It prints a table for people and writes
// out/bench/SUITE.json with the machine, the commit and one line per measured figure.
//
//	make bench              # all suites
//	make bench SUITE=graphs # one of them
//	go run ./internal/bench -suite runners -markdown # the tables of docs/perf/runners.md from its last run
//
// A suite is a package below this one; the list in suites is the only registry.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/tandem-serve/tandem/internal/bench/gpu"
	"github.com/tandem-serve/tandem/internal/bench/graphs"
	"github.com/tandem-serve/tandem/internal/bench/images"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/runners"
	"github.com/tandem-serve/tandem/internal/bench/sandbox"
	"github.com/tandem-serve/tandem/internal/bench/sharing"
	"github.com/tandem-serve/tandem/internal/bench/tenants"
)

// suites returns all suites in the order in which they run.
func suites() []report.Suite {
	return []report.Suite{
		gpu.Suite(),
		graphs.Suite(),
		images.Suite(),
		runners.Suite(),
		sandbox.Suite(),
		sharing.Suite(),
		tenants.Suite(),
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, suites(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0, 1 when a suite failed (or, with -strict, missed a target), 2 when args are wrong.
func run(ctx context.Context, all []report.Suite, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	name := fs.String("suite", "", "run only this suite: "+names(all))
	out := fs.String("out", "out/bench", "folder for the JSON reports")
	quick := fs.Bool("quick", false, "measure as briefly as the suites can; for trying them out")
	strict := fs.Bool("strict", false, "exit 1 when a target is missed")
	list := fs.Bool("list", false, "list the suites")
	markdown := fs.Bool("markdown", false, "measure nothing: write the tables of docs/perf from the last report of -suite")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	chosen := choose(all, *name)
	if len(chosen) == 0 || fs.NArg() > 0 {
		fmt.Fprintf(stderr, "bench: no suite %q, only %s\n", strings.Join(append(fs.Args(), *name), " "), names(all))
		return 2
	}
	if *list {
		for _, s := range all {
			fmt.Fprintf(stdout, "%s\t%s\n", s.Name, s.Doc)
		}
		return 0
	}
	if *markdown {
		if err := page(chosen, *out, stdout); err != nil {
			fmt.Fprintf(stderr, "bench: %v\n", err)
			return 1
		}
		return 0
	}
	missed := 0
	for _, s := range chosen {
		r, err := one(ctx, s, *out, *quick, stdout)
		if err != nil {
			fmt.Fprintf(stderr, "bench: suite %s: %v\n", s.Name, err)
			return 1
		}
		missed += r.Missed()
	}
	if missed > 0 && *strict {
		return 1
	}
	return 0
}

// page writes the tables of the chosen suites that have a page.
func page(chosen []report.Suite, out string, stdout io.Writer) error {
	for _, s := range chosen {
		if s.Page == nil {
			continue
		}
		r, err := report.Read(out, s.Name)
		if err != nil {
			return err
		}
		if err := s.Page(r, stdout); err != nil {
			return err
		}
	}
	return nil
}

// one runs a suite, prints its table and writes its report.
func one(ctx context.Context, s report.Suite, out string, quick bool, stdout io.Writer) (*report.Report, error) {
	r := report.New(ctx, s.Name)
	r.Quick = quick
	fmt.Fprintf(stdout, "suite %s: %s\n", s.Name, s.Doc)
	if err := s.Run(ctx, r); err != nil {
		// What was measured until then may tell why.
		return nil, errors.Join(err, r.Table(stdout))
	}
	if err := r.Table(stdout); err != nil {
		return nil, err
	}
	file, err := r.Write(out)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stdout, "written to %s\n\n", file)
	return r, nil
}

// choose returns the suite called name, or for "" all but those that run on request only.
func choose(all []report.Suite, name string) []report.Suite {
	if name == "" {
		return slices.DeleteFunc(slices.Clone(all), func(s report.Suite) bool { return s.OnRequest })
	}
	for _, s := range all {
		if s.Name == name {
			return []report.Suite{s}
		}
	}
	return nil
}

func names(all []report.Suite) string {
	var list []string
	for _, s := range all {
		list = append(list, s.Name)
	}
	return strings.Join(list, ", ")
}
