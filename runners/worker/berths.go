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

// berths bounds the processes of a pool, and those of one tenant, which asks for as many as its models name different providers. Starts
// that find none wait; a berth goes to the tenant that has the fewest, and of these to who waits longest. Whoever idles longest makes
// room.
type berths struct {
	most, each int

	mu      sync.Mutex // mu guards the following
	taken   int
	by      map[string]int // by tenant
	waiting list.List      // of *berthing, oldest first
}

// berthing is a start that waits.
type berthing struct {
	tenant string
	ready  chan struct{} // receives once
}

// berth waits until one more process of a tenant may be started. give gives it back.
func (p *Pool) berth(ctx context.Context, tenant string) error {
	b := &p.berths
	b.mu.Lock()
	if b.freeLocked(tenant) {
		b.takeLocked(tenant)
		b.mu.Unlock()
		return nil
	}
	w := &berthing{tenant, make(chan struct{}, 1)}
	at := b.waiting.PushBack(w)
	b.mu.Unlock()
	err := p.await(ctx, w)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	b.waiting.Remove(at)
	b.mu.Unlock()
	select {
	case <-w.ready: // granted meanwhile
		b.give(tenant)
	default:
	}
	return err
}

// await waits for a berth, and sees to it that idle processes make room.
func (p *Pool) await(ctx context.Context, w *berthing) error {
	timer := time.NewTimer(p.config.StartWait)
	defer timer.Stop()
	look := time.NewTicker(leastStay)
	defer look.Stop()
	for {
		own := p.makeRoom(w.tenant)
		select {
		case <-w.ready:
			return nil
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			if own {
				return fmt.Errorf("%w: all %d worker processes that a tenant may have were busy for %v: its models ask for many different providers",
					runners.ErrOverloaded, p.berths.each, p.config.StartWait)
			}
			return fmt.Errorf("%w: all %d worker processes were busy for %v with models of others: try again, or start the server with more --max-workers",
				runners.ErrOverloaded, p.berths.most, p.config.StartWait)
		}
	}
}

// leastStay is how long a process idles at least before it makes room: less than what it takes to start one.
const leastStay = 50 * time.Millisecond

func (b *berths) freeLocked(tenant string) bool {
	return b.taken < b.most && b.by[tenant] < b.each
}

func (b *berths) takeLocked(tenant string) {
	if b.by == nil {
		b.by = map[string]int{}
	}
	b.taken++
	b.by[tenant]++
}

// queued returns how many starts wait for a process to end; own is that one of the tenant's has to, which has as many as it may.
func (b *berths) queued(tenant string) (n int, own bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own = b.by[tenant] >= b.each
	for e := b.waiting.Front(); e != nil; e = e.Next() {
		w, _ := e.Value.(*berthing)
		if own && w.tenant == tenant || !own && b.by[w.tenant] < b.each {
			n++
		}
	}
	return n, own
}

// give gives a berth of a tenant's back, and to whose turn it is.
func (b *berths) give(tenant string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken--
	if b.by[tenant]--; b.by[tenant] == 0 {
		delete(b.by, tenant)
	}
	var next *list.Element
	fewest := b.each
	for e := b.waiting.Front(); e != nil; e = e.Next() {
		if w, _ := e.Value.(*berthing); b.by[w.tenant] < fewest {
			next, fewest = e, b.by[w.tenant]
		}
	}
	if next == nil {
		return
	}
	w, _ := b.waiting.Remove(next).(*berthing)
	b.takeLocked(w.tenant)
	w.ready <- struct{}{}
}

// makeRoom ends processes that idle, the one that has idled longest first, until one is ending for every start that waits. For a tenant
// that has as many as it may, own is true, and only its own count. The models of an ended one are loaded again when they are run.
func (p *Pool) makeRoom(tenant string) (own bool) {
	waiting, own := p.berths.queued(tenant)
	p.mu.Lock()
	var running []*process
	ending := 0
	for _, g := range p.groups {
		if own && g.key.Tenant != tenant {
			continue
		}
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
		if ending >= waiting || time.Since(time.Unix(0, w.used.Load())) < leastStay {
			break
		}
		if w.retire() {
			ending++
			p.evicted.Add(1)
			w.shm.trim()
			p.config.Logger.Debug("worker stopped to make room", slog.String("tenant", w.g.key.owner()), slog.String("device", w.g.key.Device), slog.Int("pid", w.pid()))
		}
	}
	return own
}
