package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// The headroom becomes what makes collections rare, and goes back when they are too rare.
func TestHeadroom(t *testing.T) {
	const mib = 1 << 20
	var set []int
	h := newHeadroom(512 * mib)
	h.least, h.room = 32*mib, 32*mib
	h.set = func(percent int) { set = append(set, percent) }
	now := time.Now()
	h.last = now
	for _, step := range []struct {
		after   time.Duration
		live    int64
		percent int // that is set; 0 for none
	}{
		{10 * time.Second, 32 * mib, 0}, // as rare as is wanted
		{2 * time.Second, 32 * mib, 200},
		{3700 * time.Millisecond, 32 * mib, 0},          // nearly
		{time.Millisecond, 32 * mib, 1600},              // the limit
		{time.Millisecond, 64 * mib, 800},               // of more in use
		{time.Millisecond, 1024 * mib, 100},             // which is more than the headroom
		{tooRare + time.Second, 8 * mib, 256 / 8 * 100}, // half of it
		{tooRare + time.Second, 32 * mib, 400},
		{tooRare + time.Second, 32 * mib, 200},
		{tooRare + time.Second, 32 * mib, 100},
		{tooRare + time.Second, 32 * mib, 0}, // the least
	} {
		set = nil
		now = now.Add(step.after)
		h.collected(now, step.live)
		if step.percent == 0 && len(set) > 0 || step.percent != 0 && (len(set) != 1 || set[0] != step.percent) {
			t.Errorf("after %v with %d MiB in use: set %v, want %d", step.after, step.live/mib, set, step.percent)
		}
	}
}

// The first collections after a calm time are not close to one another where there is memory.
func TestLeastHeadroom(t *testing.T) {
	for limit, want := range map[int64]int64{1 << 30: 256 << 20, 64 << 20: leastHeadroom} {
		h := newHeadroom(limit)
		h.set = func(int) {}
		if h.room != want {
			t.Errorf("of %d MiB at most the first headroom is %d MiB, want %d", limit>>20, h.room>>20, want>>20)
		}
		h.room = limit
		h.reset(0)
		if h.room != want {
			t.Errorf("after a calm time it is %d MiB, want %d", h.room>>20, want>>20)
		}
	}
}

// A busy server collects a few times where Go would do so for every few megabytes.
func TestCollectionsAreRareWhileGarbageIsMade(t *testing.T) {
	cycles := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	ctx, stop := context.WithCancel(t.Context())
	tidy := &tidier{headroom: newHeadroom(512 << 20), inUse: func() int64 { return 0 }, log: slog.New(slog.DiscardHandler)}
	ended := make(chan error)
	go func() { ended <- tidy.run(ctx) }()
	began := cycles()
	const made, block = 8 << 30, 1 << 20
	for range made / block {
		garbage = make([]byte, block)
	}
	garbage = nil
	if n := cycles() - began; n > made/(128<<20) {
		t.Errorf("%d collections for 8 GiB of garbage, want one for 128 MiB at most", n)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if now := debug.SetGCPercent(100); now != 100 {
		t.Errorf("afterwards the heap may grow by %d percent, want what it was before", now)
	}
}

var garbage []byte //nolint:gochecknoglobals // what is not seen from outside is not put on the heap

func TestDefaultHeadroom(t *testing.T) {
	if got := DefaultHeadroom(); got <= 0 || got > mostHeadroom || got > machineMemory()/16 {
		t.Errorf("got %d bytes of %d", got, machineMemory())
	}
}
