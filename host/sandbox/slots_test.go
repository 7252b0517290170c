package sandbox_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/value"
)

// A guest that is behind waits for a slot now and then, which another goroutine of its tenant has meanwhile. That is no time of its own.
func TestWaitsForSlotsAreNotCharged(t *testing.T) {
	s, err := background.New(background.Config{Cores: 1})
	if err != nil {
		t.Skip(err)
	}
	h := newHost(t, sandbox.Config{Background: s})
	p := load(t, h, "hostile")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { // somebody who goes first, or nobody would be behind
		for ctx.Err() == nil {
			_, task := s.Begin(ctx, "quiet")
			<-time.After(100 * time.Microsecond)
			task.End()
			<-time.After(9 * time.Millisecond)
		}
	})
	const keeps = 15 * time.Millisecond // less than a slot may be kept without looking
	var kept atomic.Int64               // for how long another goroutine had the slot, at least
	wg.Go(func() {
		_, task := s.Begin(ctx, "busy")
		defer task.End()
		for ctx.Err() == nil {
			task.Look()
			behind := s.Behind("busy")
			<-time.After(keeps)
			if behind && s.Behind("busy") {
				kept.Add(int64(keeps))
			}
		}
	})

	const fuel = 400_000_000 // some 60 ms
	var used uint64
	var charged time.Duration
	enough := errors.New("that is enough")
	c := sandbox.Call{Function: "spin", Inputs: []value.Value{int32s(0)}}
	c.Services.Spend = func(n uint64, cpu time.Duration) error {
		used, charged = used+n, charged+cpu
		if used > fuel && time.Duration(kept.Load()) > 20*keeps {
			return enough
		}
		return nil
	}
	own, task := s.Begin(ctx, "busy")
	from, began := kept.Load(), time.Now()
	_, err = p.Call(own, c)
	took, others := time.Since(began), time.Duration(kept.Load()-from)
	task.End()
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if most := took - others + 2*keeps; charged > most {
		t.Errorf("of %v another goroutine had the slot for %v, and the guest was charged %v, want %v at most", took, others, charged, most)
	}
}
