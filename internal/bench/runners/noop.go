package runners

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
)

// chain is a graph of so many nodes, one after the other, that do nothing.
func chain(nodes int) string {
	var doc strings.Builder
	fmt.Fprintf(&doc, "graph: chain\ninputs:\n  x: {type: tensor, dtype: FP32, shape: [n]}\noutputs:\n  y: {from: n%d.x}\nnodes:\n", nodes-1)
	from := "x"
	for i := range nodes {
		fmt.Fprintf(&doc, "  n%d: {plugin: p, call: same, in: {x: %s}}\n", i, from)
		from = fmt.Sprintf("n%d.x", i)
	}
	return doc.String()
}

func floats(n int) map[string]value.Value {
	return map[string]value.Value{"x": value.Tensor(abi.FP32, []int64{int64(n)}, make([]byte, 4*n))}
}

// noop adds what a node of the engine costs that does nothing: the difference between ten of them and one.
func noop(ctx context.Context, r *report.Report) error {
	var p50 [2]time.Duration
	var ten *inProcess
	for i, nodes := range []int{1, 10} {
		p, err := compile(chain(nodes), nil)
		if err != nil {
			return err
		}
		in := floats(3)
		res, err := load.Loop{Duration: timesOf(r).slice, Warmup: timesOf(r).slice / 4}.Run(ctx, func(ctx context.Context, _ int) error {
			_, err := p.call(ctx, in, false)
			return err
		})
		if err != nil {
			return err
		}
		p50[i], ten = res.Latency.Quantile(.5), p
	}
	r.Add("ten nodes that do nothing, engine p50", micros(p50[1]), "us")
	r.AtMost("each of them adds", micros(p50[1]-p50[0])/9, "us", 10)
	small, err := allocated(ctx, ten, floats(3))
	if err != nil {
		return err
	}
	large, err := allocated(ctx, ten, floats(1<<20))
	if err != nil {
		return err
	}
	r.Add("allocations of a request of ten nodes", small.count, "allocs")
	r.AtMost("bytes allocated more for a tensor of 4 MiB than of 12 bytes", large.bytes-small.bytes, "bytes", 1<<10)
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// memory is what one request allocated, on average.
type memory struct{ count, bytes float64 }

// allocated runs the graph a number of times, one after the other.
func allocated(ctx context.Context, p *inProcess, in map[string]value.Value) (memory, error) {
	return allocations(func() error {
		_, err := p.call(ctx, in, false)
		return err
	})
}

// allocations calls f a number of times, one after the other, and returns what one call allocated. What others do meanwhile
// in this process counts too.
func allocations(f func() error) (memory, error) {
	const calls = 200
	var before, after runtime.MemStats
	if err := f(); err != nil {
		return memory{}, err
	}
	runtime.ReadMemStats(&before)
	for range calls {
		if err := f(); err != nil {
			return memory{}, err
		}
	}
	runtime.ReadMemStats(&after)
	return memory{float64(after.Mallocs-before.Mallocs) / calls, float64(after.TotalAlloc-before.TotalAlloc) / calls}, nil
}
