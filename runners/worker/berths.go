package worker

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// berths bounds the processes of a pool. Starts that find none wait in the order in which they came; whoever idles longest makes
// room.
type berths struct {
	most int

	mu      sync.Mutex // mu guards the following
	taken   int
	waiting list.List // of chan struct{}, oldest first
}

// berth waits until one more process may be started. give gives it back.
func (p *Pool) berth(ctx context.Context) error {
	b := &p.berths
	b.mu.Lock()
	if b.taken < b.most {
		b.taken++
		b.mu.Unlock()
		return nil
	}
	ready := make(chan struct{}, 1)
	at := b.waiting.PushBack(ready)
	b.mu.Unlock()
	err := p.await(ctx, ready)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	b.waiting.Remove(at)
	b.mu.Unlock()
	select {
	case <-ready: // granted meanwhile
		b.give()
	default:
	}
	return err
}

// await waits for a berth, and sees to it that idle processes make room.
func (p *Pool) await(ctx context.Context, ready <-chan struct{}) error {
	timer := time.NewTimer(p.config.StartWait)
	defer timer.Stop()
	look := time.NewTicker(leastStay)
	defer look.Stop()
	for {
		p.makeRoom()
		select {
		case <-ready:
			return nil
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return fmt.Errorf("%w: all %d worker processes were busy for %v with models of others: try again, or start the server with more --max-workers",
				runners.ErrOverloaded, p.berths.most, p.config.StartWait)
		}
	}
}

// leastStay is how long a process idles at least before it makes room: less than what it takes to start one.
const leastStay = 50 * time.Millisecond

// queued returns how many starts wait.
func (b *berths) queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.Len()
}

// give gives a berth to whoever waits longest, or back.
func (b *berths) give() {
	b.mu.Lock()
	defer b.mu.Unlock()
	front := b.waiting.Front()
	if front == nil {
		b.taken--
		return
	}
	ready, _ := b.waiting.Remove(front).(chan struct{})
	ready <- struct{}{}
}

// makeRoom ends processes that idle, the one that has idled longest first, until one is ending for every start that waits. The models
// of an ended one are loaded again when they are run.
func (p *Pool) makeRoom() {
	p.mu.Lock()
	var running []*process
	ending := 0
	for _, g := range p.groups {
		g.mu.Lock()
		w := g.current
		g.mu.Unlock()
		switch {
		case w == nil || w.dead.Load():
		case w.usable():
			running = append(running, w)
		default:
			ending++
		}
	}
	p.mu.Unlock()
	slices.SortFunc(running, func(a, b *process) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	for _, w := range running {
		if ending >= p.berths.queued() || time.Since(time.Unix(0, w.used.Load())) < leastStay {
			return
		}
		if w.retire() {
			ending++
			p.evicted.Add(1)
			w.shm.trim()
			p.config.Logger.Debug("worker stopped to make room", slog.String("tenant", w.g.key.owner()), slog.String("device", w.g.key.Device), slog.Int("pid", w.pid()))
		}
	}
}
