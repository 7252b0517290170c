// Command fuzz runs the fuzz targets of modules one after the other, each for a bounded time, and prints a line for each. It fails
// when one of them does, and says where the input lies that did it: in the target's corpus, as a regression test from then on.
//
//	go run ./internal/fuzz [-time 5s] [-only REGEXP] MODULE...
//
// It starts no goroutines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	each := flags.Duration("time", 5*time.Second, "how long each target runs")
	only := flags.String("only", "", "run targets whose folder and name match this regular expression")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	var targets []target
	for _, module := range flags.Args() {
		found, err := find(ctx, module)
		if err != nil {
			return err
		}
		for _, t := range found {
			if match.MatchString(t.String()) {
				targets = append(targets, t)
			}
		}
	}
	if len(targets) == 0 {
		return errors.New("there are no such targets")
	}
	return runAll(ctx, targets, *each, out)
}

// runAll runs targets, prints a line for each and what was said by those that failed, and returns an error when one did.
func runAll(ctx context.Context, targets []target, each time.Duration, out io.Writer) error {
	_, _ = fmt.Fprintf(out, "%d fuzz targets, %v each\n", len(targets), each)
	began := time.Now()
	cache, err := cacheDir(ctx)
	if err != nil {
		return err
	}
	programs, err := os.MkdirTemp("", "fuzz-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(programs) }()
	var failed []result
	for i := range targets {
		t := &targets[i]
		_, _ = fmt.Fprintf(out, "%3d/%d  %-60s", i+1, len(targets), t)
		if err := t.build(ctx, programs); err != nil {
			return err
		}
		r, err := t.fuzz(ctx, each, cache)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out, r)
		if r.failed {
			failed = append(failed, r)
		}
	}
	_, _ = fmt.Fprintf(out, "%d targets in %v, %d failed\n", len(targets), time.Since(began).Round(time.Second), len(failed))
	if len(failed) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range failed {
		_, _ = fmt.Fprintf(out, "\n--- %s\n%s", r.target, r.output)
		_, _ = fmt.Fprintf(table, "%s\t%s\n", r.target, r.crasher)
	}
	_, _ = fmt.Fprintln(out, "\nfailed targets and their inputs:")
	if err := table.Flush(); err != nil {
		return err
	}
	return fmt.Errorf("%d of %d targets failed", len(failed), len(targets))
}
