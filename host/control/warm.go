package control

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/madeup"
	"github.com/tandem-serve/tandem/runners/plan"
)

// samples makes up inputs for warm-ups.
func samples() madeup.Config { return madeup.Config{MaxBytes: maxWarmBytes} }

// warmed is what became of a warm-up.
type warmed struct {
	in   func(rows int64) []runners.Tensor // nil when inputs could not be made up or the run failed
	note string                            // why a made-up warm-up did not work
	took time.Duration
}

// warmUp runs the model once on declared inputs, or on made-up ones. A failure on declared ones is an error.
func warmUp(ctx context.Context, r runners.Runner, s *Serving) (warmed, error) {
	if len(s.Warm) > 0 {
		return warmDeclared(ctx, r, s)
	}
	ports := r.Signature().Inputs
	var took time.Duration
	size, err := samples().Find(ctx, ports, func(in []runners.Tensor) (err error) {
		took, err = runners.Once(ctx, r, in)
		return err
	})
	if ctx.Err() != nil {
		return warmed{}, ctx.Err()
	}
	w := warmed{took: took}
	if err != nil {
		w.note = "made-up inputs did not work, so it was not warmed or measured: " + err.Error()
	} else {
		w.in = func(rows int64) []runners.Tensor {
			more, _ := samples().Inputs(ports, rows, size) // too large ones are nil, which the caller looks for
			return more
		}
	}
	return w, nil
}

func warmDeclared(ctx context.Context, r runners.Runner, s *Serving) (warmed, error) {
	in, err := s.warmInputs(r.Signature())
	if err != nil {
		return warmed{}, err
	}
	took, err := runners.Once(ctx, r, in)
	if err != nil {
		return warmed{}, fmt.Errorf("warm-up on the declared inputs: %w", err)
	}
	return warmed{took: took, in: func(rows int64) []runners.Tensor { return repeated(in, rows) }}, nil
}

// repeated returns in with so many rows, its own again and again; nil when they cannot be made.
func repeated(in []runners.Tensor, rows int64) []runners.Tensor {
	out := make([]runners.Tensor, len(in))
	for i := range in {
		t := &in[i]
		if len(t.Shape) == 0 || t.Shape[0] == 0 || t.DType == runners.BYTES {
			return nil
		}
		row := int64(len(t.Data)) / t.Shape[0]
		if row > maxWarmBytes/rows {
			return nil
		}
		out[i] = runners.Tensor{DType: t.DType, Shape: append([]int64{rows}, t.Shape[1:]...)}
		for n := range rows {
			at := n % t.Shape[0] * row
			out[i].Data = append(out[i].Data, t.Data[at:at+row]...)
		}
	}
	return out
}

// Bounds of what a warm-up measures.
const (
	measureBudget = 300 * time.Millisecond // for the rows
	measureLonger = time.Second            // a run of one row that takes longer is not measured further
	measureRows   = 32
)

// sample returns inputs of one row to measure the model on; nil when there are none, or a run takes too long.
func (w *warmed) sample() []runners.Tensor {
	if w.in == nil || w.took > measureLonger {
		return nil
	}
	return w.in(1)
}

// measureRowsOf returns the times of runs by their rows, and has cost learn them.
func measureRowsOf(ctx context.Context, r runners.Runner, w warmed, cost *batch.Cost) []plan.RowsTook {
	if w.in == nil || w.took > measureLonger || batch.Apart(r.Signature()) != "" {
		return nil
	}
	most := 0
	for n := 1; n <= measureRows && w.in(int64(n)) != nil; n *= 2 {
		most = n
	}
	rows := func(n int) []runners.Tensor { return w.in(int64(n)) }
	seen, _ := plan.MeasureRows(ctx, r, rows, most, measureBudget) // what was seen before an error counts
	for _, s := range seen {
		for range 4 { // so often that the batcher goes by it
			cost.Add(rows(s.Rows), s.Took)
		}
	}
	return seen
}
