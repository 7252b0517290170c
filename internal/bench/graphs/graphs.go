// Package graphs is the suite that times both example graphs on a real server, called through the Go client over loopback
// (Connect, binary, HTTP/2), beside a loop over bare ONNX Runtime that does the same model work in this process: the same
// models on the same tensors, one run after the other for each caller, without batching, plugins or a network.
//
// Server and loop never run at the same time, and follow each other directly for each number of callers. The client's own
// work is part of the server's figures: it shares the machine.
package graphs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// Suite returns the suite. It needs what `make setup build plugins` makes, and takes under three minutes on 2 cores.
func Suite() report.Suite {
	return report.Suite{
		Name: "graphs",
		Doc:  "both example graphs at 1, 4 and 16 callers, beside a loop over bare ONNX Runtime",
		Run:  run,
	}
}

// scenario is one graph with what it is called with.
type scenario struct {
	graph    string
	inputs   map[string]*tandemv1.Value
	duration time.Duration
}

// review is what the side-by-side graph is asked about.
const review = "I went in expecting very little and came out surprised. The first half hour is slow, the lead seems bored, and the " +
	"jokes fall flat; but once the story leaves the city it finds its feet. The photography is wonderful, the supporting cast is " +
	"better than the script deserves, and the last scene is one of the most moving that I have seen this year. It is not a perfect " +
	"film, and ten minutes could go without loss. Still, I would watch it again, and I told all my friends to see it."

// page is the image that the OCR graph reads, below the project's folder.
const page = "examples/images/review-film-good.png"

func scenarios(root string) ([]scenario, error) {
	photo, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return nil, err
	}
	return []scenario{
		{rig.GraphSideBySide, map[string]*tandemv1.Value{"text": client.Text(review)}, 5 * time.Second},
		{rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(photo)}, 10 * time.Second},
	}, nil
}

func run(ctx context.Context, r *report.Report) (err error) {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	all, err := scenarios(root)
	if err != nil {
		return err
	}
	server, err := rig.Start(ctx, rig.Options{Root: root, Log: io.Discard})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := rig.LoadExamples(ctx, root, server.Client, func(string) {}); err != nil {
		return err
	}
	b, err := openBare(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, sc := range all {
		if err := sc.measure(ctx, r, root, server.Client, b); err != nil {
			return fmt.Errorf("%s: %w", sc.graph, err)
		}
	}
	return nil
}

// measure adds all figures of one graph.
func (sc scenario) measure(ctx context.Context, r *report.Report, root string, c *client.Client, b *bare) error {
	work, err := capture(ctx, root, c, sc)
	if err != nil {
		return fmt.Errorf("capture what its models get: %w", err)
	}
	runs, err := b.prepare(ctx, work)
	if err != nil {
		return err
	}
	// Once each without the clock, so that both sides are warm; a warm-up within a loop would swallow the first of the long calls.
	if err := errors.Join(sc.call(ctx, c), runAll(ctx, runs)); err != nil {
		return err
	}
	callers := []int{1, 4, 16}
	if r.Quick {
		callers = callers[:2]
	}
	for _, n := range callers {
		if err := sc.compare(ctx, r, n, c, runs); err != nil {
			return fmt.Errorf("%d callers: %w", n, err)
		}
	}
	r.Add(sc.graph+" model runs of the bare loop", float64(len(runs)), "runs/call")
	return sc.copied(ctx, r, c)
}

// patience is the deadline of a call: more than 16 pages at once take on a slow machine, so that none is refused.
const patience = 2 * time.Minute

// call calls the server once.
func (sc scenario) call(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := c.Infer(ctx, sc.graph, sc.inputs)
	return err
}

// compare times the server, then the bare loop, at n callers.
func (sc scenario) compare(ctx context.Context, r *report.Report, n int, c *client.Client, runs []modelRun) error {
	loop := load.Loop{Callers: n, Duration: sc.duration, MinCalls: n}
	if r.Quick {
		loop.Duration = 100 * time.Millisecond
	}
	prefix := fmt.Sprintf("%s x%d", sc.graph, n)
	served, err := loop.Run(ctx, func(ctx context.Context, _ int) error { return sc.call(ctx, c) })
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	alone, err := loop.Run(ctx, func(ctx context.Context, _ int) error { return runAll(ctx, runs) })
	if err != nil {
		return fmt.Errorf("bare loop: %w", err)
	}
	for _, side := range []struct {
		name string
		res  *load.Result
	}{{" server", served}, {" bare", alone}} {
		side.res.Report(r, prefix+side.name)
		r.Add(prefix+side.name+" calls", float64(side.res.Latency.Count()), "calls")
	}
	if alone.PerSecond() > 0 {
		r.Add(prefix+" server/bare throughput", served.PerSecond()/alone.PerSecond(), "ratio")
	}
	if p50 := alone.Latency.Quantile(.5); p50 > 0 {
		r.Add(prefix+" server/bare p50", float64(served.Latency.Quantile(.5))/float64(p50), "ratio")
	}
	return nil
}

// copied adds what the trace of one call says was copied.
func (sc scenario) copied(ctx context.Context, r *report.Report, c *client.Client) error {
	res, err := c.Infer(ctx, sc.graph, sc.inputs, client.WithTrace())
	if err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	var copied int64
	for _, n := range res.GetTrace().GetNodes() {
		copied += n.GetBytesCopied()
	}
	r.Add(sc.graph+" bytes copied", float64(copied), "bytes/call")
	return nil
}

// Example is one of the example graphs with what it is called with, and the same model work in a bare loop.
type Example struct {
	Graph  string
	Inputs map[string]*tandemv1.Value
	// Bare does the work of one call's models, one run after the other.
	Bare func(ctx context.Context) error
}

// Examples prepares both example graphs, which c's server must have. The caller calls free at the end.
func Examples(ctx context.Context, root string, c *client.Client) (all []Example, free func() error, err error) {
	scs, err := scenarios(root)
	if err != nil {
		return nil, nil, err
	}
	b, err := openBare(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	for _, sc := range scs {
		work, err := capture(ctx, root, c, sc)
		if err != nil {
			return nil, nil, errors.Join(err, b.close())
		}
		runs, err := b.prepare(ctx, work)
		if err != nil {
			return nil, nil, errors.Join(err, b.close())
		}
		all = append(all, Example{sc.graph, sc.inputs, func(ctx context.Context) error { return runAll(ctx, runs) }})
	}
	return all, b.close, nil
}
