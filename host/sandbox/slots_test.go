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
			from := time.Now()
			<-time.After(keeps)
			if behind && s.Behind("busy") && time.Since(from) < keeps+keeps/4 { // on a busy machine it may have lost the slot
				kept.Add(int64(keeps))
			}
		}
	})

	c := sandbox.Call{Function: "spin", Inputs: []value.Value{int32s(0)}}
	enough := errors.New("that is enough")
	const fuel, tries = 400_000_000, 4 // some 60 ms; on a busy machine a guest is charged for what others take of its core
	for try := range tries {
		var used uint64
		var charged time.Duration
		from, began := kept.Load(), time.Now()
		c.Services.Spend = func(n uint64, cpu time.Duration) error {
			used, charged = used+n, charged+cpu
			if used > fuel && time.Duration(kept.Load()-from) > 20*keeps {
				return enough
			}
			return nil
		}
		own, task := s.Begin(ctx, "busy")
		_, err = p.Call(own, c)
		took, others := time.Since(began), time.Duration(kept.Load()-from)
		task.End()
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		if charged <= took-others+2*keeps {
			return
		}
		t.Logf("try %d: of %v another goroutine had the slot for %v, and the guest was charged %v", try, took, others, charged)
	}
	t.Errorf("the guest was charged for the time in which another goroutine had the slot")
}
