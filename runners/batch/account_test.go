package batch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

// ask runs a request of rows rows of two numbers on its own goroutine and returns where its account will be.
func ask(ctx context.Context, b *batch.Batcher, rows int) (*batch.Account, <-chan error) {
	a := &batch.Account{}
	done := make(chan error, 1)
	in := []runners.Tensor{runnertest.FP32([]int64{int64(rows), 2}, make([]float32, 2*rows)...)}
	go func() {
		out := make([]runners.Tensor, 1)
		err := b.Run(batch.WithAccount(ctx, a), in, out)
		out[0].Release()
		done <- err
	}()
	synctest.Wait()
	return a, done
}

// Every request can say how long it queued, what it shared its run with, why that was closed, and what was copied of it.
func TestAccount(t *testing.T) {
	t.Parallel()
	s := wide()
	s.Takes = func(in []runners.Tensor) time.Duration { return time.Duration(in[0].Shape[0]) * time.Millisecond }
	s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		return []runners.Tensor{runnertest.FP32([]int64{in[0].Shape[0], 2}, runnertest.Floats(in[0])...)}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(fake.New(s), batch.Config{MaxRows: 3})
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Microsecond)
		defer cancel()
		alone, d1 := ask(t.Context(), b, 1)
		first, d2 := ask(t.Context(), b, 1)
		second, d3 := ask(t.Context(), b, 2)
		late, d4 := ask(ctx, b, 3)
		large, d5 := ask(t.Context(), b, 7)
		for i, done := range []<-chan error{d1, d2, d3, d4, d5} {
			if err := <-done; i == 3 != errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("request %d: %v", i, err)
			}
		}
		ms := time.Millisecond
		for _, test := range []struct {
			name      string
			got, want batch.Account
		}{
			{"alone", *alone, batch.Account{Ran: ms, Runs: 1, Rows: 1, Requests: 1, Reason: batch.Idle}},
			{"first", *first, batch.Account{Queued: ms, Ran: 3 * ms, Runs: 1, Rows: 3, Requests: 2, Reason: batch.Full, BytesCopied: 8}},
			{"second", *second, batch.Account{Queued: ms, Ran: 3 * ms, Runs: 1, Rows: 3, Requests: 2, Reason: batch.Full, BytesCopied: 16}},
			{"late", *late, batch.Account{Queued: 2500 * time.Microsecond}},
			// Its parts wait at the same time, 4 and 7 ms, and the last is put into the queue when the first is done.
			{"large", *large, batch.Account{Queued: 14 * ms, Ran: 7 * ms, Runs: 3, Rows: 3, Requests: 1, Reason: batch.Full, BytesCopied: 56}},
		} {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A request that is run again after a bad neighbour counts both runs, and the copies of both.
func TestAccountOfARetry(t *testing.T) {
	t.Parallel()
	s := slowly(wide())
	s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		if in[0].Shape[0] > 1 {
			return nil, runners.ErrRun
		}
		return []runners.Tensor{runnertest.FP32([]int64{in[0].Shape[0], 2}, runnertest.Floats(in[0])...)}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(fake.New(s), batch.Config{})
		_, d1 := ask(t.Context(), b, 1)
		again, d2 := ask(t.Context(), b, 1)
		_, d3 := ask(t.Context(), b, 1)
		for _, done := range []<-chan error{d1, d2, d3} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		want := batch.Account{
			Queued: time.Millisecond, Ran: 2 * time.Millisecond, Runs: 2, Rows: 2, Requests: 2, Reason: batch.Idle, BytesCopied: 8,
		}
		if diff := cmp.Diff(want, *again); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
