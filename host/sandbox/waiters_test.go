package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// queueModel has calls of some tenants come and go.
type queueModel struct {
	q       waiters
	tenants []*tenantUse
	waiting map[*tenantUse][]*waiter
}

func newQueueModel(rt *rapid.T) *queueModel {
	m := &queueModel{waiting: map[*tenantUse][]*waiter{}}
	m.q.most = rapid.IntRange(1, 12).Draw(rt, "most")
	for i := range rapid.IntRange(1, 5).Draw(rt, "tenants") {
		m.tenants = append(m.tenants, &tenantUse{name: fmt.Sprint("t", i)})
	}
	return m
}

// come has a call come to wait. Whoever is refused or loses one has an equal part at least, and the error says so.
func (m *queueModel) come(rt *rapid.T) {
	u := rapid.SampledFrom(m.tenants).Draw(rt, "tenant")
	w := &waiter{lane: &lane{plugin: &Plugin{tenant: u}}, ready: make(chan grant, 1)}
	if err := m.q.add(w); err != nil {
		m.lost(rt, u, err)
		return
	}
	m.waiting[u] = append(m.waiting[u], w)
	for _, o := range m.tenants {
		ws := m.waiting[o]
		if len(ws) == 0 || len(ws[len(ws)-1].ready) == 0 {
			continue
		}
		g := <-ws[len(ws)-1].ready
		m.waiting[o] = ws[:len(ws)-1]
		m.lost(rt, o, g.err)
	}
}

func (m *queueModel) lost(rt *rapid.T, u *tenantUse, err error) {
	e, ok := errors.AsType[*TenantWaitingError](err)
	if !ok {
		rt.Fatalf("got %v", err)
	}
	n := 0
	for _, o := range m.tenants {
		if len(m.waiting[o]) > 0 || o == u {
			n++
		}
	}
	if len(m.waiting[u]) < m.q.most/n {
		rt.Fatalf("%s has %d of %d that wait for %d tenants, and lost one", u.name, len(m.waiting[u]), m.q.most, n)
	}
	if e.Use < e.Limit {
		rt.Fatalf("refused for %d of %d", e.Use, e.Limit)
	}
}

// leave has a call leave that waits or not.
func (m *queueModel) leave(rt *rapid.T) {
	u := rapid.SampledFrom(m.tenants).Draw(rt, "tenant")
	if len(m.waiting[u]) == 0 {
		rt.Skip("nothing waits")
	}
	i := rapid.IntRange(0, len(m.waiting[u])-1).Draw(rt, "which")
	w := m.waiting[u][i]
	m.waiting[u] = slices.Delete(m.waiting[u], i, i+1)
	m.q.remove(w)
	m.q.remove(w)
}

func (m *queueModel) check(rt *rapid.T) {
	n, some := 0, 0
	for _, u := range m.tenants {
		n += len(m.waiting[u])
		if len(m.waiting[u]) > 0 {
			some++
		}
		e := u.waiting.Front()
		for _, w := range m.waiting[u] { // in the order in which they came
			if e == nil || e.Value != w {
				rt.Fatalf("%s does not wait in order", u.name)
			}
			e = e.Next()
		}
		if e != nil {
			rt.Fatalf("%s has more waiting", u.name)
		}
	}
	if m.q.n != n || n > m.q.most || len(m.q.tenants) != some || len(m.q.all()) != n {
		rt.Fatalf("got %d of %d tenants, want %d of %d", m.q.n, len(m.q.tenants), n, some)
	}
}

func TestWaitersProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newQueueModel(rt)
		rt.Repeat(map[string]func(*rapid.T){"come": m.come, "leave": m.leave, "": m.check})
	})
}

// crowd has tenants whose calls take all instances that they can, for as long as chance says.
type crowd struct {
	pools *pools
	lanes []*lane
	busy  map[*lane]int
}

// newCrowd has plugins of n tenants share so many instances.
func newCrowd(n, instances int) *crowd {
	c := &crowd{busy: map[*lane]int{}, pools: newPools(&Config{
		MaxInstances: instances, MaxInstancesPerPlugin: instances, MaxInstancesPerTenant: instances, MaxWaiting: 1 << 20,
		TenantMemory: func(string) int64 { return -1 },
	}, func([]*instance) {})}
	for i := range n {
		p := &Plugin{}
		c.pools.join(p, fmt.Sprint("t", i))
		c.lanes = append(c.lanes, &lane{plugin: p})
	}
	return c
}

// call has a call of a lane begin, or wait.
func (c *crowd) call(l *lane) (began bool) {
	c.pools.mu.Lock()
	defer c.pools.mu.Unlock()
	if a := c.pools.tryLocked(l); a.ok {
		c.busy[l]++
		return true
	}
	_ = c.pools.waiters.add(&waiter{lane: l, ready: make(chan grant, 1)}) // there is room
	return false
}

// end ends a call of a lane, and notes which began in its place.
func (c *crowd) end(l *lane) {
	c.pools.mu.Lock()
	waiting := c.pools.waiters.all()
	c.pools.mu.Unlock()
	c.busy[l]--
	c.pools.forget(l)
	for _, w := range waiting {
		if len(w.ready) > 0 {
			c.busy[w.lane]++
		}
	}
}

// TestGreedyTenantsComeToEqualParts has tenants come one after the other, each with more calls than there are instances; calls end by
// chance. In the end all have as many, as many are left free, and who comes then has one at once.
func TestGreedyTenantsComeToEqualParts(t *testing.T) {
	const instances = 60
	for _, tenants := range []int{2, 3, 5} {
		rng := rand.New(rand.NewPCG(1, 1))
		c := newCrowd(tenants+1, instances)
		late := c.lanes[tenants]
		for _, l := range c.lanes[:tenants] {
			for range 20 * instances {
				c.call(l)
			}
		}
		for range 2000 {
			l := c.lanes[rng.IntN(tenants)]
			if c.busy[l] == 0 {
				t.Fatalf("%d tenants: one has nothing, of %v", tenants, c.busy)
			}
			c.end(l)
			c.call(l)
		}
		part := instances / (tenants + 1)
		for _, l := range c.lanes[:tenants] {
			if n := c.busy[l]; n < part-1 || n > part+1 {
				t.Errorf("%d tenants: one has %d instances, want %d", tenants, n, part)
			}
		}
		if !c.call(late) {
			t.Errorf("%d tenants: the next one waits", tenants)
		}
	}
}
