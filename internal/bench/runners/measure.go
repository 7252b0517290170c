package runners

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

// side is one way to reach a model.
type side struct {
	name string
	call func(ctx context.Context) error
	rows int // of one call
	// callers, when set, are how many call at once, whatever the others have.
	callers int
	served  bool // by another process
	total   load.Result
	spent   spent
}

func (x *side) rowsPerSecond() float64 { return x.total.PerSecond() * float64(x.rows) }

// keepOpen keeps the batcher from closing what it runs.
type keepOpen struct{ runners.Runner }

// Close does nothing.
func (keepOpen) Close() error { return nil }

// measure adds all figures of one model.
func (m *model) measure(ctx context.Context, r *report.Report, b *bare, s *served) (err error) {
	best, err := b.sweep(ctx, r, m)
	if err != nil {
		return err
	}
	run, err := b.load(ctx, m, best)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	batcher := batch.New(keepOpen{run}, batch.Config{MaxRows: best.rows, MaxQueueRows: 4096, Concurrency: best.runs})
	defer func() { err = errors.Join(err, batcher.Close()) }()
	apart, err := b.loadInWorker(ctx, m, best)
	if err != nil {
		return err
	}
	inWorker := batch.New(apart, batch.Config{MaxRows: best.rows, MaxQueueRows: 4096, Concurrency: best.runs})
	defer func() { err = errors.Join(err, inWorker.Close()) }()
	inside, err := compile(m.document(), batcher)
	if err != nil {
		return err
	}
	if err := s.publish(ctx, m, best); err != nil {
		return err
	}
	if err := m.counts(ctx, r, run, batcher, inside); err != nil {
		return err
	}
	alone, one, values, wire := m.tensors(best.rows), m.tensors(1), m.values(1), m.wire(1)
	wholeValues, wholeWire := m.values(best.rows), m.wire(best.rows)
	sides := func(callers int) []*side {
		all := []*side{
			{name: "bare", rows: best.rows, callers: best.runs, call: func(ctx context.Context) error { return subject.Once(ctx, run, alone) }},
			{name: "batcher", rows: 1, call: func(ctx context.Context) error { return subject.Once(ctx, batcher, one) }},
			{name: "worker", rows: 1, call: func(ctx context.Context) error { return subject.Once(ctx, inWorker, one) }},
			{name: "engine", rows: 1, call: func(ctx context.Context) error {
				_, err := inside.call(ctx, values, false)
				return err
			}},
			{name: "connect", rows: 1, served: true, call: infer(s.server.Client, m.name, wire)},
			{name: "grpc", rows: 1, served: true, call: infer(s.grpc, m.name, wire)},
		}
		if callers == 16 && best.rows > 1 {
			all = append(all, &side{name: "engine, whole runs", rows: best.rows, call: func(ctx context.Context) error {
				_, err := inside.call(ctx, wholeValues, false)
				return err
			}}, &side{name: "grpc, whole runs", rows: best.rows, served: true, call: infer(s.grpc, m.name, wholeWire)})
		}
		return all
	}
	most, patience := 0.0, time.Duration(0)
	for _, n := range callers(r) {
		all := sides(n)
		if err := turns(ctx, r, s, all, n, best.perSecond); err != nil {
			return err
		}
		m.tell(r, all, n)
		grpc := all[5]
		most, patience = max(most, grpc.total.PerSecond()), max(patience, 2*grpc.total.Latency.Quantile(.5))
		if n == 16 {
			r.Add(m.name+" x16 batcher copied", float64(batcher.Stats().BytesCopied)/float64(max(batcher.Stats().Requests, 1)), "bytes/row")
		}
	}
	return open(ctx, r, m.name, most, patience, infer(s.grpc, m.name, wire))
}

// turns runs every side in turn, a slice each, several rounds. A slice is long enough for every caller to be answered twice by a
// model that gives so many rows a second, after a warm-up in which each is answered once.
func turns(ctx context.Context, r *report.Report, s *served, all []*side, callers int, perSecond float64) error {
	t := timesOf(r)
	rounds := t.rounds
	if callers > 16 {
		rounds = 1 // as many calls of a slow model take long enough
	}
	each := time.Duration(float64(callers) / perSecond * float64(time.Second))
	l := load.Loop{Callers: callers, Duration: max(t.slice, 2*each), Warmup: max(t.slice/4, each), MinCalls: 1}
	for range rounds {
		for _, side := range all {
			if err := side.turn(ctx, s, l); err != nil {
				return fmt.Errorf("%s, %d callers: %w", side.name, callers, err)
			}
		}
	}
	return nil
}

func (x *side) turn(ctx context.Context, s *served, l load.Loop) error {
	if x.callers > 0 {
		l.Callers = x.callers
	}
	calls := make([]int, l.Callers) // those of the warm-up cost as well
	before, err := s.spentSoFar(ctx)
	if err != nil {
		return err
	}
	res, err := l.Run(ctx, func(ctx context.Context, caller int) error {
		calls[caller]++
		return x.call(ctx)
	})
	if err != nil {
		return err
	}
	after, err := s.spentSoFar(ctx)
	if err != nil {
		return err
	}
	used := after.less(before)
	for _, n := range calls {
		used.calls += float64(n)
	}
	x.spent = x.spent.add(used)
	x.total.Add(res)
	return nil
}

// tell adds the figures of all sides, with their ratio to the first, the bare loop.
func (m *model) tell(r *report.Report, all []*side, callers int) {
	bare := all[0].rowsPerSecond()
	m.worker(r, all[1], all[2], callers)
	for _, x := range all {
		prefix := fmt.Sprintf("%s x%d %s", m.name, callers, x.name)
		latencies(r, prefix, x)
		if x == all[0] || bare == 0 {
			continue
		}
		ratio := x.rowsPerSecond() / bare
		switch {
		case m.heavy && callers >= 16 && x.name == "engine":
			r.AtLeast(prefix+"/bare", ratio, "ratio", .97)
		case m.heavy && callers >= 16 && x.name == "grpc":
			r.AtLeast(prefix+"/bare", ratio, "ratio", .85)
		default:
			r.Add(prefix+"/bare", ratio, "ratio")
		}
		if x.served {
			x.costs(r, prefix)
		}
	}
}

// worker adds what the worker costs beside the same batcher over the same model in this process.
func (m *model) worker(r *report.Report, inside, apart *side, callers int) {
	switch {
	case !m.heavy && callers == 1:
		more := apart.total.Latency.Quantile(.5) - inside.total.Latency.Quantile(.5)
		r.AtMost(fmt.Sprintf("%s x1 worker adds to p50", m.name), micros(more), "us", 25)
	case m.heavy && callers >= 16:
		r.AtLeast(fmt.Sprintf("%s x%d worker/batcher", m.name, callers), apart.rowsPerSecond()/max(inside.rowsPerSecond(), 1e-9), "ratio", .97)
	}
}

func latencies(r *report.Report, prefix string, x *side) {
	r.Add(prefix+" throughput", x.rowsPerSecond(), "rows/s")
	r.Add(prefix+" p50", load.Milliseconds(x.total.Latency.Quantile(.5)), "ms")
	r.Add(prefix+" p99", load.Milliseconds(x.total.Latency.Quantile(.99)), "ms")
	r.Add(prefix+" p99.9", load.Milliseconds(x.total.Latency.Quantile(.999)), "ms")
}

// costs adds what a call cost on both sides of the wire; the server's workers are not in it.
func (x *side) costs(r *report.Report, prefix string) {
	calls := max(x.spent.calls, 1)
	r.Add(prefix+" generator's processor time", micros(x.spent.generator)/calls, "us/call")
	r.Add(prefix+" server's processor time", micros(x.spent.server)/calls, "us/call")
	r.Add(prefix+" server's allocations", x.spent.mallocs/calls, "allocs/call")
	r.Add(prefix+" copied on edges", x.spent.copied/calls, "bytes/call")
}

// open calls at fixed rates, half and nine tenths of the most that was measured, and counts the answers that came in time.
func open(ctx context.Context, r *report.Report, name string, most float64, patience time.Duration, call func(context.Context) error) error {
	for _, share := range []float64{.5, .9} {
		res, err := load.Open{PerSecond: most * share, Duration: timesOf(r).open, Deadline: patience}.Run(ctx, call)
		if err != nil {
			return err
		}
		prefix := fmt.Sprintf("%s open loop at %.0f %% of the most", name, 100*share)
		r.Add(prefix+", due", float64(res.Due)/timesOf(r).open.Seconds(), "calls/s")
		r.Add(prefix+", answered in time", float64(res.Good)/float64(max(res.Due, 1)), "of 1")
		r.Add(prefix+", goodput", res.GoodPerSecond(), "calls/s")
		r.Add(prefix+", deadline", load.Milliseconds(patience), "ms")
		for _, q := range []struct {
			name string
			of   float64
		}{{"p50", .5}, {"p99", .99}, {"p99.9", .999}} {
			r.Add(prefix+", "+q.name, load.Milliseconds(res.Latency.Quantile(q.of)), "ms")
		}
	}
	return nil
}

// counts adds what does not depend on time: allocations and copies of one request alone.
func (m *model) counts(ctx context.Context, r *report.Report, run, batcher runners.Runner, inside *inProcess) error {
	one, values := m.tensors(1), m.values(1)
	for _, x := range []struct {
		name string
		call func() error
	}{
		{"bare", func() error { return subject.Once(ctx, run, one) }},
		{"batcher", func() error { return subject.Once(ctx, batcher, one) }},
		{"engine", func() error {
			_, err := inside.call(ctx, values, false)
			return err
		}},
	} {
		got, err := allocations(x.call)
		if err != nil {
			return err
		}
		r.Add(m.name+" alone, "+x.name+" allocations", got.count, "allocs")
		r.Add(m.name+" alone, "+x.name+" bytes allocated", got.bytes, "bytes")
	}
	trace, err := inside.call(ctx, values, true)
	if err != nil {
		return err
	}
	r.AtMost(m.name+" alone, copied on the edges to the model and to the answer", float64(trace.Nodes[0].Copied)/float64(m.bytes()), "bytes/byte", 0)
	return nil
}
