package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// filled returns a tensor with equal elements.
func filled(d runners.DType, shape []int64, value float64) (runners.Tensor, error) {
	n, ok := runners.Elements(shape)
	size := int64(max(d.Size(), 4)) // strings have an offset each
	if !ok || n > maxWarmBytes/size {
		return runners.Tensor{}, fmt.Errorf("%w: %v is more than %d MiB", runners.ErrShape, shape, maxWarmBytes>>20)
	}
	t := runners.Tensor{DType: d, Shape: shape}
	if d == runners.BYTES {
		t.Data = make([]byte, 4*(n+1)) // empty ones
		return t, nil
	}
	one, err := batch.Element(d, value)
	if err != nil {
		return t, err
	}
	t.Data = make([]byte, 0, n*int64(len(one)))
	for range n {
		t.Data = append(t.Data, one...)
	}
	return t, nil
}

// Sizes that stand for open dimensions when inputs are made up, besides the rows.
const (
	guessSide     = 64 // of an image: models that halve it several times want a multiple of 32
	guessSequence = 16
)

// otherSizes are tried for all open dimensions when the guesses do not work.
func otherSizes() []int64 { return []int64{16, 64, 224, 128, 32, 48, 320, 640, 8, 1} }

// synthesise makes up inputs of so many rows from a signature. Dimensions of one name get one size; what is called a mask is 1
// everywhere, so that all of the sequence counts; everything else is 0. With a size, that is the one of all open dimensions.
func synthesise(sig runners.Signature, rows, size int64) ([]runners.Tensor, error) {
	in := make([]runners.Tensor, len(sig.Inputs))
	for i, port := range sig.Inputs {
		shape := make([]int64, len(port.Dims))
		for axis, d := range port.Dims {
			shape[axis] = guess(port, axis, d, rows, size)
		}
		if port.Dims == nil {
			shape = []int64{rows}
		}
		value := 0.0
		if strings.Contains(strings.ToLower(port.Name), "mask") {
			value = 1
		}
		var err error
		if in[i], err = filled(port.DType, shape, value); err != nil {
			return nil, fmt.Errorf("input %q: %w", port.Name, err)
		}
	}
	return in, nil
}

// guess returns a size for one dimension.
func guess(port runners.Port, axis int, d runners.Dim, rows, size int64) int64 {
	name := strings.ToLower(d.Name)
	switch {
	case d.Size >= 0:
		return d.Size
	case axis == 0, strings.Contains(name, "batch"):
		return rows
	case size > 0:
		return size
	case strings.Contains(name, "past"):
		return 0
	case len(port.Dims) == 4: // an image
		return guessSide
	}
	return guessSequence
}

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
	sig := r.Signature()
	var first error
	for _, size := range append([]int64{0}, otherSizes()...) {
		in, err := synthesise(sig, 1, size)
		var took time.Duration
		if err == nil {
			took, err = runOnce(ctx, r, in)
		}
		if ctx.Err() != nil {
			return warmed{}, ctx.Err()
		}
		if err == nil {
			return warmed{took: took, in: func(rows int64) []runners.Tensor {
				more, _ := synthesise(sig, rows, size) // too large ones are nil, which the caller looks for
				return more
			}}, nil
		}
		if first == nil {
			first = err
		}
	}
	return warmed{note: "made-up inputs did not work, so it was not warmed or measured: " + first.Error()}, nil
}

func warmDeclared(ctx context.Context, r runners.Runner, s *Serving) (warmed, error) {
	in, err := s.warmInputs(r.Signature())
	if err != nil {
		return warmed{}, err
	}
	took, err := runOnce(ctx, r, in)
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

// runOnce runs the model and returns how long that took.
func runOnce(ctx context.Context, r runners.Runner, in []runners.Tensor) (time.Duration, error) {
	out := make([]runners.Tensor, len(r.Signature().Outputs))
	start := time.Now()
	if err := r.Run(ctx, in, out); err != nil {
		return 0, err
	}
	took := time.Since(start)
	for i := range out {
		out[i].Release()
	}
	return took, nil
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
