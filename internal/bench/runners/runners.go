// Package runners is the suite that measures what Tandem adds to ONNX Runtime. Three models - one that does nearly nothing,
// a sentiment classifier, text recognition - run in a bare loop over ONNX Runtime, through the batcher with the model in this
// process and in a worker, through the engine, and on a real server through Connect and gRPC on loopback; the server runs models
// in workers, as it does by default.
//
// A sweep first finds the threads, rows and runs at once that are best for the bare loop; every other side then runs with the
// same, as an owner would declare them. The sides take turns in short rounds, so that what else the machine does hits all of
// them. Ratios are throughput over the bare loop's best. Callers ask for one row at a time; with 16 callers the engine and gRPC
// are also measured with requests that bring a whole run's rows, where the cost of a request is shared by as many.
//
// Go has a processor more than there are cores, as in `tandem serve`: each run of a model holds one, though it computes in a worker
// or outside Go, and who is to share the next run has to get a turn meanwhile.
package runners

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/rig"
)

// Suite returns the suite. It needs what `make setup build plugins` makes, and takes about six minutes on 2 cores.
func Suite() report.Suite {
	return report.Suite{
		Name: "runners",
		Doc:  "three models through batcher, worker, engine, Connect and gRPC, beside a bare loop over ONNX Runtime; ten nodes that do nothing",
		Run:  run,
		Page: page,
	}
}

// times are how long things are measured.
type times struct {
	sweep  time.Duration // one setting of the sweep
	slice  time.Duration // one turn of one side
	rounds int
	open   time.Duration // one open loop
}

func timesOf(r *report.Report) times {
	if r.Quick {
		return times{sweep: 50 * time.Millisecond, slice: 100 * time.Millisecond, rounds: 1, open: 200 * time.Millisecond}
	}
	return times{sweep: 250 * time.Millisecond, slice: 500 * time.Millisecond, rounds: 2, open: 2 * time.Second}
}

// callers is how many call at once.
func callers(r *report.Report) []int {
	if r.Quick {
		return []int{1, 16}
	}
	return []int{1, 4, 16, 64}
}

func run(ctx context.Context, r *report.Report) (err error) {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	all, err := models(root)
	if err != nil {
		return err
	}
	cores := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(cores + 1)
	defer runtime.GOMAXPROCS(cores)
	if err := noop(ctx, r); err != nil {
		return fmt.Errorf("graph of ten nodes: %w", err)
	}
	s, err := startServer(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b, err := openBare(ctx, root, cores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, m := range all {
		if err := m.measure(ctx, r, b, s); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return s.examples(ctx, r, root)
}
