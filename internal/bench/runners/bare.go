package runners

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/worker"
)

// bare is ONNX Runtime in this process, and in a worker.
type bare struct {
	runtime *onnx.Runtime
	workers *worker.Pool
	cores   int
}

func openBare(ctx context.Context, root string, cores int) (*bare, error) {
	rt, library, err := subject.Runtime(ctx, root, cores)
	if err != nil {
		return nil, err
	}
	pool, err := worker.New(ctx, worker.Config{Command: []string{filepath.Join(root, "bin", "tandem"), "worker"}, Library: library, Threads: cores})
	return &bare{rt, pool, cores}, err
}

func (b *bare) close() error { return b.workers.Close() }

// loadInWorker loads the model with the setting's threads into a process of its own.
func (b *bare) loadInWorker(ctx context.Context, m *model, s setting) (runners.Runner, error) {
	return b.workers.Load(ctx, worker.Key{Tenant: "bench"}, worker.LoadParams{
		Label: m.name, Model: m.file, Options: onnx.Options{Threads: s.threads},
	})
}

// setting is how a model runs best.
type setting struct {
	threads int // of one operator: 1, or 0 for the shared pool, which has one for each core
	rows    int // in one run
	runs    int // at once
	// perSecond is how many rows a second the sweep saw with it.
	perSecond float64
}

// String returns the setting for people.
func (s setting) String() string {
	threads := "threads of all cores"
	if s.threads > 0 {
		threads = fmt.Sprintf("%d threads", s.threads)
	}
	return fmt.Sprintf("%s, %d rows in a run, %d runs at once", threads, s.rows, s.runs)
}

// load loads the model with the setting's threads.
func (b *bare) load(ctx context.Context, m *model, s setting) (*onnx.Model, error) {
	return b.runtime.Load(ctx, m.file, onnx.Options{Threads: s.threads})
}

// sweep finds the setting with the most rows per second.
func (b *bare) sweep(ctx context.Context, r *report.Report, m *model) (best setting, err error) {
	for _, threads := range []int{1, 0} {
		run, err := b.load(ctx, m, setting{threads: threads})
		if err != nil {
			return best, err
		}
		for _, rows := range m.rows {
			for _, runs := range []int{1, b.cores} {
				s := setting{threads: threads, rows: rows, runs: runs}
				res, err := m.loop(ctx, run, s, load.Loop{Duration: timesOf(r).sweep, Warmup: timesOf(r).sweep / 4, MinCalls: 4})
				if err != nil {
					return best, errors.Join(err, run.Close())
				}
				s.perSecond = res.PerSecond() * float64(rows)
				if s.perSecond > best.perSecond {
					best = s
				}
			}
		}
		if err := run.Close(); err != nil {
			return best, err
		}
	}
	r.Note(fmt.Sprintf("%s: bare ONNX Runtime is best with %s", m.name, best))
	return best, nil
}

// loop runs bare ONNX Runtime as the setting says.
func (m *model) loop(ctx context.Context, run runners.Runner, s setting, l load.Loop) (*load.Result, error) {
	l.Callers = s.runs
	in := m.tensors(s.rows)
	return l.Run(ctx, func(ctx context.Context, _ int) error { return subject.Once(ctx, run, in) })
}
