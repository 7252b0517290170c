package runners

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/internal/bench/graphs"
	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/rig"
)

// examples adds the figures of the two example graphs.
func (s *served) examples(ctx context.Context, r *report.Report, root string) (err error) {
	if err := rig.LoadExamples(ctx, root, s.server.Client, func(string) {}); err != nil {
		return err
	}
	all, free, err := graphs.Examples(ctx, root, s.server.Client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	for _, e := range all {
		if err := s.example(ctx, r, e); err != nil {
			return fmt.Errorf("graph %s: %w", e.Graph, err)
		}
	}
	return nil
}

// patience is the deadline of a call of the closed loops, so long that none is refused.
const patience = 5 * time.Minute

func patient(call func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return call(ctx)
	}
}

func (s *served) example(ctx context.Context, r *report.Report, e graphs.Example) error {
	most, deadline := 0.0, time.Duration(0)
	for _, n := range callers(r) {
		l := load.Loop{Callers: n, Duration: 3 * timesOf(r).slice, MinCalls: 2 * n}
		if e.Graph == rig.GraphOCR {
			if r.Quick && n > 1 {
				continue
			}
			if n > 4 {
				// A page takes a quarter of a second of a core: of 16 callers each asks twice, of 64 each once, and the rate is that of all.
				l.MinCalls = max(n, 32)
				l.MaxCalls = l.MinCalls
			}
		}
		all := []*side{
			{name: "bare", rows: 1, call: e.Bare},
			{name: "connect", rows: 1, served: true, call: patient(infer(s.server.Client, e.Graph, e.Inputs))},
			{name: "grpc", rows: 1, served: true, call: patient(infer(s.grpc, e.Graph, e.Inputs))},
		}
		for _, x := range all {
			prefix := fmt.Sprintf("%s x%d %s", e.Graph, n, x.name)
			if err := x.turn(ctx, s, l); err != nil {
				return fmt.Errorf("%s: %w", prefix, err)
			}
			latencies(r, prefix, x)
			if x.served {
				r.Add(prefix+"/bare", x.rowsPerSecond()/max(all[0].rowsPerSecond(), 1e-9), "ratio")
				x.costs(r, prefix)
			}
		}
		grpc := all[len(all)-1]
		most, deadline = max(most, grpc.total.PerSecond()), max(deadline, 2*grpc.total.Latency.Quantile(.5))
	}
	return open(ctx, r, e.Graph, most, deadline, infer(s.grpc, e.Graph, e.Inputs))
}
