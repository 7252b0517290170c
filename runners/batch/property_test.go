package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// request is one that a property test makes.
type request struct {
	at     time.Duration
	rows   int
	width  int
	caller batch.Caller
	leave  time.Duration // 0: its caller stays
	bad    bool
	bound  bool // the caller has memory for the output
}

// outcome is what became of a request.
type outcome struct {
	result string // "ok", "left", "refused", "bad", or an error
	values []float32
	ended  time.Duration
}

func drawRequests(t *rapid.T) []request {
	requests := make([]request, rapid.IntRange(1, 40).Draw(t, "requests"))
	for i := range requests {
		requests[i] = request{
			at:    time.Duration(rapid.IntRange(0, 60).Draw(t, "at")) * time.Millisecond,
			rows:  rapid.IntRange(0, 9).Draw(t, "rows"),
			width: rapid.IntRange(1, 2).Draw(t, "width"),
			caller: batch.Caller{
				Tenant:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
				Priority: rapid.SampledFrom([]batch.Priority{batch.Low, batch.Normal, batch.High}).Draw(t, "priority"),
			},
			bad:   rapid.IntRange(0, 9).Draw(t, "bad") == 0,
			bound: rapid.Bool().Draw(t, "bound"),
		}
		if rapid.IntRange(0, 4).Draw(t, "leaves") == 0 {
			requests[i].leave = time.Duration(rapid.IntRange(1, 40).Draw(t, "leave"))*time.Millisecond + 1
		}
	}
	return requests
}

// doubler doubles x, FP32 [batch, any]; a negative number makes it fail. It notes the rows of each run.
func doubler(rows *[]int, mu *sync.Mutex) fake.Script {
	s := wide()
	s.Takes = func(in []runners.Tensor) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		*rows = append(*rows, int(in[0].Shape[0]))
		return 5*time.Millisecond + time.Duration(in[0].Shape[0])*time.Millisecond
	}
	s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		values := runnertest.Floats(in[0])
		for i, v := range values {
			if v < 0 {
				return nil, fmt.Errorf("%w: a negative number", runners.ErrRun)
			}
			values[i] = 2 * v
		}
		return []runners.Tensor{runnertest.FP32(slices.Clone(in[0].Shape), values...)}, nil
	}
	return s
}

// play makes the requests on a Batcher of the config and returns what became of them, and the rows of each run.
func playRequests(t *testing.T, config batch.Config, requests []request) (outcomes []outcome, runs []int, most int) {
	t.Helper()
	var mu sync.Mutex
	inner := fake.New(doubler(&runs, &mu))
	b := batch.New(inner, config)
	start := time.Now()
	outcomes = make([]outcome, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			time.Sleep(r.at)
			ctx, cancel := context.WithCancel(batch.WithCaller(t.Context(), r.caller))
			defer cancel()
			if r.leave > 0 {
				time.AfterFunc(r.leave, cancel)
			}
			value := float32(i + 1)
			if r.bad {
				value = -value
			}
			shape := []int64{int64(r.rows), int64(r.width)}
			in := []runners.Tensor{runnertest.FP32(shape, slices.Repeat([]float32{value}, r.rows*r.width)...)}
			out := make([]runners.Tensor, 1)
			if r.bound {
				out[0] = runners.Tensor{DType: runners.FP32, Shape: shape, Data: make([]byte, 4*r.rows*r.width)}
			}
			err := b.Run(ctx, in, out)
			clear(in[0].Data) // the caller's again
			outcomes[i] = outcome{result: resultOf(err), ended: time.Since(start)}
			if err == nil {
				outcomes[i].values = runnertest.Floats(out[0])
			}
			out[0].Release()
		})
	}
	wg.Wait()
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if s := b.Stats(); s.Waiting+s.WaitingRows+s.Running != 0 || inner.Lent() != 0 {
		t.Errorf("left over: %+v, %d outputs", s, inner.Lent())
	}
	return outcomes, runs, inner.MostAtOnce()
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled):
		return "left"
	case errors.Is(err, runners.ErrOverloaded):
		return "refused"
	case errors.Is(err, runners.ErrRun):
		return "bad"
	}
	return err.Error()
}

// Every request is answered once, with its own rows, soon, and as it would have been without others; no bound is broken.
func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		config := batch.Config{
			MaxRows:      rapid.IntRange(1, 6).Draw(rt, "most rows"),
			MaxQueueRows: rapid.SampledFrom([]int{0, 10}).Draw(rt, "queue"),
			Concurrency:  rapid.IntRange(1, 3).Draw(rt, "runs at once"),
			MaxDelay:     time.Duration(rapid.SampledFrom([]int{0, 0, 7}).Draw(rt, "delay")) * time.Millisecond,
		}
		requests := drawRequests(rt)
		var outcomes []outcome
		var runs []int
		var most int
		synctest.Test(t, func(t *testing.T) { outcomes, runs, most = playRequests(t, config, requests) })
		if t.Failed() {
			rt.Fatal("see above")
		}
		if most > config.Concurrency {
			rt.Errorf("%d runs at once, want at most %d", most, config.Concurrency)
		}
		if config.MaxRows > 1 && slices.ContainsFunc(runs, func(rows int) bool { return rows > config.MaxRows }) {
			rt.Errorf("runs had %v rows, want at most %d", runs, config.MaxRows)
		}
		for i, r := range requests {
			checkOutcome(rt, i, r, outcomes[i], config)
		}
	})
}

func checkOutcome(rt *rapid.T, i int, r request, got outcome, config batch.Config) {
	rt.Helper()
	switch {
	case got.result == "ok" && (!r.bad || r.rows == 0):
		want := slices.Repeat([]float32{2 * float32(i+1)}, r.rows*r.width)
		if !slices.Equal(want, got.values) {
			rt.Errorf("request %d, %+v: got %v, want %v", i, r, got.values, want)
		}
	case got.result == "bad" && r.bad, got.result == "left" && r.leave > 0, got.result == "refused" && config.MaxQueueRows > 0:
	default:
		rt.Errorf("request %d, %+v: %s", i, r, got.result)
	}
	// All runs one after the other, and each bad request's batch again in halves, take less than this.
	if late := got.ended - r.at; late > 40*9*10*time.Millisecond {
		rt.Errorf("request %d, %+v: answered after %v", i, r, late)
	}
	if r.leave > 0 && got.ended-r.at > r.leave {
		rt.Errorf("request %d, %+v: left after %v", i, r, got.ended-r.at)
	}
}

// The answers are the same with any settings, as long as nobody leaves.
func TestMetamorphic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		requests := drawRequests(rt)
		for i := range requests {
			requests[i].leave = 0
		}
		var want []outcome
		for _, config := range []batch.Config{{MaxRows: 1}, {}, {MaxRows: 4}, {MaxRows: 3, Concurrency: 2, MaxDelay: 3 * time.Millisecond}} {
			var got []outcome
			synctest.Test(t, func(t *testing.T) { got, _, _ = playRequests(t, config, requests) })
			for i := range got {
				got[i].ended = 0
			}
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				rt.Fatalf("%+v gives other answers (-want +got):\n%s", config, diff)
			}
		}
	})
}
