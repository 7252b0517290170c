// Package sharing is the suite of the resource plan: what nine busy models lose when a tenth is loaded, and when it is busy too,
// and how many threads the server has for one model and for ten.
//
// All models are the same matrix product, so that equal shares are equal calls per second. Nine have two callers each, so that each
// has always something to run, the tenth has sixteen. A call is some ten milliseconds of model work; the client's and the server's
// own part of it shares the machine. All is measured with one thread declared, so that the models are alike whatever the machine was busy
// with when they were loaded, and with the threads that the server chooses by its own measurement.
package sharing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

const (
	nine  = 9
	each  = 2  // callers of each
	crowd = 16 // callers of the tenth
	steps = 300
	// fair is what the nine keep when the tenth takes its share.
	fair = float64(nine) / (nine + 1)
)

// Suite returns the suite. It needs what `make setup build` makes, and takes about two minutes.
func Suite() report.Suite {
	return report.Suite{
		Name: "plan",
		Doc:  "what nine models lose to a tenth, and the threads of one model and of ten",
		Run:  run,
	}
}

// bench is a server with the models.
type bench struct {
	*rig.Server
	root   string
	inputs map[string]*tandemv1.Value
	slice  time.Duration
	most   atomic.Int64 // threads, in the phase that runs
	plan   *tandemv1.GetPlanResponse
	tenth  float64 // its calls per second in the last phase

	threads int32  // that owners declare; 0: none
	how     string // of the threads, for the figures' names
}

func run(ctx context.Context, r *report.Report) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	for _, b := range []*bench{
		{root: root, threads: 1, how: "one thread declared"},
		{root: root, how: "threads measured"},
	} {
		if err := b.run(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", b.how, err)
		}
	}
	return nil
}

func (b *bench) run(ctx context.Context, r *report.Report) (err error) {
	server, err := rig.Start(ctx, rig.Options{Root: b.root, Log: io.Discard})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	b.Server, b.inputs, b.slice = server, subject.Product(steps), 3*time.Second
	rounds := 5
	if r.Quick {
		b.slice, rounds = 100*time.Millisecond, 1
	}
	if err := b.publish(ctx, 0); err != nil {
		return err
	}
	if _, err := b.phase(ctx, 1, crowd); err != nil {
		return err
	}
	b.add(r, "threads with 1 model, 18 callers", float64(b.most.Load()), "threads")
	for i := 1; i < nine; i++ {
		if err := b.publish(ctx, i); err != nil {
			return err
		}
	}
	return b.compare(ctx, r, rounds)
}

// compare measures the nine alone, beside the tenth that nobody calls, and beside it when it is busy. The three take turns, for the
// machine may have other things to do.
func (b *bench) compare(ctx context.Context, r *report.Report, rounds int) error {
	var alone, idle, busy, tenth []float64
	for range rounds {
		v, err := b.phase(ctx, nine, 0)
		if err != nil {
			return err
		}
		alone = append(alone, v)
		if err := b.publish(ctx, nine); err != nil {
			return err
		}
		if v, err = b.phase(ctx, nine, 0); err != nil {
			return err
		}
		idle = append(idle, v)
		if v, err = b.phase(ctx, nine, crowd); err != nil {
			return err
		}
		busy, tenth = append(busy, v), append(tenth, b.tenth)
		plan, err := b.Client.Server.GetPlan(ctx, &tandemv1.GetPlanRequest{})
		if err != nil {
			return err
		}
		b.plan = plan
		if _, err := b.Client.Graphs.DeleteGraph(ctx, &tandemv1.DeleteGraphRequest{Name: name(nine)}); err != nil {
			return err
		}
	}
	b.add(r, "threads with 10 models, 34 callers", float64(b.most.Load()), "threads")
	b.add(r, "cores that models may use", b.plan.GetCores(), "cores")
	b.add(r, "most runs at once that the plan allows", float64(b.plan.GetMostRuns()), "runs")
	several := 0.0
	for _, m := range b.plan.GetModels() {
		if m.GetThreads() > 1 {
			several++
		}
	}
	b.add(r, "models that run on several threads", several, "models")
	b.add(r, "nine models alone", median(alone), "calls/s")
	b.add(r, "nine, a tenth loaded", median(idle), "calls/s")
	b.add(r, "nine, a tenth busy", median(busy), "calls/s")
	b.add(r, "the tenth then", median(tenth), "calls/s")
	var loaded, kept []float64
	for i := range idle {
		loaded, kept = append(loaded, idle[i]/alone[i]), append(kept, busy[i]/idle[i])
	}
	b.add(r, "left of nine when a tenth is loaded, median of rounds", median(loaded), "ratio")
	r.AtLeast(b.how+": left of nine when a tenth is busy, median of rounds", median(kept), "ratio", fair)
	return nil
}

func (b *bench) add(r *report.Report, name string, value float64, unit string) {
	r.Add(b.how+": "+name, value, unit)
}

// phase calls the first models with two callers each, the tenth, or the first if there is but one, with more, and returns the calls
// per second of the first.
func (b *bench) phase(ctx context.Context, models, more int) (float64, error) {
	b.most.Store(0)
	group, ctx := errgroup.WithContext(ctx)
	var measured *load.Result
	b.tenth = 0
	group.Go(func() (err error) {
		loop := load.Loop{Callers: each * models, Duration: b.slice}
		measured, err = loop.Run(ctx, func(ctx context.Context, caller int) error { return b.call(ctx, caller%models) })
		return err
	})
	if more > 0 {
		other := nine
		if models == 1 {
			other = 0
		}
		group.Go(func() error {
			loop := load.Loop{Callers: more, Duration: b.slice}
			res, err := loop.Run(ctx, func(ctx context.Context, _ int) error { return b.call(ctx, other) })
			b.tenth = res.PerSecond()
			return err
		})
	}
	group.Go(func() error { return b.watch(ctx) })
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return measured.PerSecond(), nil
}

// watch notes the most threads that the server has during a phase.
func (b *bench) watch(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(b.slice); time.Now().Before(end); {
		b.most.Store(max(b.most.Load(), int64(b.Threads())))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (b *bench) call(ctx context.Context, model int) error {
	_, err := b.Client.Infer(ctx, name(model), b.inputs)
	return err
}

func name(model int) string { return fmt.Sprintf("m%d", model) }

// publish pushes a model and its graph. The declared memory makes it another model than the others, whose file is the same.
func (b *bench) publish(ctx context.Context, model int) error {
	return subject.PublishProduct(ctx, b.Client, b.root, name(model), &tandemv1.ModelOptions{MemoryBytes: int64(model+1) << 20, Threads: b.threads})
}

func median(vs []float64) float64 {
	sorted := slices.Sorted(slices.Values(vs))
	return sorted[len(sorted)/2]
}
