package runners

import (
	"context"
	"time"
)

// Once runs r once on in, gives the outputs back unread, and returns how long the run took: for warm-ups and measurements.
func Once(ctx context.Context, r Runner, in []Tensor) (time.Duration, error) {
	out := make([]Tensor, len(r.Signature().Outputs))
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
