package sandbox

import (
	"cmp"
	"container/list"
	"fmt"
	"slices"
)

// waiters are the calls that wait for an instance, each tenant's in the order in which they came. pools.mu guards them.
//
// What becomes free goes to the tenant that has the fewest instances in use. When there are too many, the tenant that has most waiting
// loses its last; who has most already is refused. So whoever loses one still has an equal part of all that may wait: with n tenants
// waiting, a tenant that has fewer than most/n is neither refused nor loses any.
type waiters struct {
	most    int
	n       int
	tenants []*tenantUse // that have some
	seq     uint64
	pass    uint64 // over the waiters, counted
}

// waiter is a call that waits.
type waiter struct {
	lane  *lane
	ready chan grant // receives once
	seq   uint64
	at    *list.Element // nil when it does not wait any more
}

// TenantWaitingError says that too many calls wait for an instance of a plugin, and the tenant has its part of them.
type TenantWaitingError struct {
	// Limit is the tenant's part now: an equal one for every tenant that has calls waiting. Use is how many it has.
	Limit, Use int64
}

// Error names both.
func (e *TenantWaitingError) Error() string {
	return fmt.Sprintf("too many calls wait for an instance of a plugin: %d of the tenant's, whose part is %d", e.Use, e.Limit)
}

// add has w wait, at the cost of whoever has most waiting, or returns why it may not.
func (q *waiters) add(w *waiter) error {
	u := w.lane.plugin.tenant
	if q.n >= q.most {
		tenants := len(q.tenants)
		if u.waiting.Len() == 0 {
			tenants++
		}
		part := q.most / tenants
		most := q.longest()
		if most.waiting.Len() <= u.waiting.Len()+1 {
			return u.refusal(part)
		}
		last, _ := most.waiting.Back().Value.(*waiter)
		last.ready <- grant{err: most.refusal(part)}
		q.remove(last)
	}
	if u.waiting.Len() == 0 {
		q.tenants = append(q.tenants, u)
	}
	q.seq++
	w.seq = q.seq
	w.at = u.waiting.PushBack(w)
	q.n++
	return nil
}

// longest returns the tenant that has most waiting, of several the one that waits longest.
func (q *waiters) longest() *tenantUse {
	return slices.MaxFunc(q.tenants, func(a, b *tenantUse) int {
		return cmp.Or(cmp.Compare(a.waiting.Len(), b.waiting.Len()), cmp.Compare(b.oldest(), a.oldest()))
	})
}

// refusal says why a call of u, whose part that is, may not wait.
func (u *tenantUse) refusal(part int) error {
	e := &TenantWaitingError{Limit: int64(part), Use: int64(u.waiting.Len())}
	return &CallError{Kind: KindQuota, Text: e.Error(), Cause: e}
}

// remove takes w out, if it waits.
func (q *waiters) remove(w *waiter) {
	if w.at == nil {
		return
	}
	u := w.lane.plugin.tenant
	u.waiting.Remove(w.at)
	w.at = nil
	q.n--
	if u.waiting.Len() == 0 {
		q.tenants = slices.DeleteFunc(q.tenants, func(o *tenantUse) bool { return o == u })
	}
}

// all returns those that wait, each tenant's in order.
func (q *waiters) all() []*waiter {
	all := make([]*waiter, 0, q.n)
	for _, u := range q.tenants {
		for e := u.waiting.Front(); e != nil; e = e.Next() {
			w, _ := e.Value.(*waiter)
			all = append(all, w)
		}
	}
	return all
}

// inTurn sorts the tenants: who has the fewest instances in use first, of those who has one idle, which need not be made anew, and then
// who waits longest.
func (q *waiters) inTurn() []*tenantUse {
	slices.SortFunc(q.tenants, func(a, b *tenantUse) int {
		return cmp.Or(cmp.Compare(a.inUse(), b.inUse()), -cmp.Compare(min(a.idle, 1), min(b.idle, 1)), cmp.Compare(a.oldest(), b.oldest()))
	})
	return q.tenants
}

// oldest returns the number of the tenant's call that waits longest; there must be one.
func (u *tenantUse) oldest() uint64 {
	w, _ := u.waiting.Front().Value.(*waiter)
	return w.seq
}

// leave takes out a waiter that gave up, and passes on what it was just granted. It returns what memory it lacked.
func (p *pools) leave(w *waiter) *TenantMemoryError {
	p.mu.Lock()
	p.waiters.remove(w)
	lack := w.lane.lack
	p.mu.Unlock()
	select {
	case g := <-w.ready:
		switch {
		case g.err != nil:
		case g.in != nil:
			p.give(g.in)
		default:
			p.shrink(w.lane.plugin.tenant, g.bytes)
			p.forget(w.lane)
		}
	default:
	}
	return lack
}

// dispatch serves the waiters that can be served.
func (p *pools) dispatch() {
	p.mu.Lock()
	evicted := p.dispatchLocked()
	p.mu.Unlock()
	p.shutAll(evicted)
}

// dispatchLocked serves the waiters that can be served.
func (p *pools) dispatchLocked() (evicted []*instance) {
	for p.serveLocked(&evicted) {
	}
	return evicted
}

// serveLocked serves the waiter whose turn it is, and reports whether there was one. Of a lane only the first is tried.
func (p *pools) serveLocked(evicted *[]*instance) bool {
	p.waiters.pass++
	for _, u := range p.waiters.inTurn() {
		if !p.roomLocked(u) {
			continue
		}
		for e := u.waiting.Front(); e != nil; e = e.Next() {
			w, _ := e.Value.(*waiter)
			if w.lane.pass == p.waiters.pass {
				continue
			}
			w.lane.pass = p.waiters.pass
			a := p.tryLocked(w.lane)
			*evicted = append(*evicted, a.evicted...)
			if a.ok {
				p.waiters.remove(w)
				w.ready <- a.grant
				return true
			}
		}
	}
	return false
}
