package batch

import "maps"

// patience is how often a priority that waits is passed over by higher ones before it goes first.
const patience = 8

// queue holds the members that wait and says whose turn it is. It has no lock and no clock of its own.
type queue struct {
	// cost returns what one row of a shape takes, in any unit.
	cost    func(shape string) float64
	maxRows int
	classes [priorities]class
	shapes  map[string]tally
	full    int // shapes of which maxRows rows or more wait
	tenants map[string]*usage
	resting map[string]float64 // what tenants with nothing waiting used, as long as it is more than now
	now     float64            // what the tenant that led last had used: where a new one starts
	waiting int                // members
	rows    int                // their rows
	load    float64            // their cost
	nextSeq uint64
}

// maxResting bounds the tenants that are remembered while they have nothing waiting.
const maxResting = 256

// tally counts what waits of one shape.
type tally struct {
	members, rows int
}

// class is what waits at one priority.
type class struct {
	lines      []*line // one for each tenant that waits here
	passedOver int
}

// line is what one tenant has waiting at one priority: its members by shape, each in order.
type line struct {
	usage *usage
	lanes []*lane
}

// lane is a list of members of one tenant, priority and shape.
type lane struct {
	shape       string
	first, last *member
}

// usage is a tenant's account while it has anything waiting.
type usage struct {
	tenant  string
	used    float64 // cost charged; counts from q.now of when it came
	waiting int
	rows    int
	load    float64
}

// add puts m at the end of its lane.
func (q *queue) add(m *member) {
	u := q.account(m.tenant)
	m.charge = q.cost(m.shape) * float64(max(m.rows, 1))
	u.count(1, m)
	q.count(1, m)
	q.nextSeq++
	m.seq, m.state = q.nextSeq, queued
	l := q.classes[m.class].line(u).lane(m.shape)
	m.prev, m.next = l.last, nil
	if l.last == nil {
		l.first = m
	} else {
		l.last.next = m
	}
	l.last = m
}

// account returns the tenant's account, a new one if it has nothing waiting: who did not use its turns has not saved them up,
// and who used more than its share still has.
func (q *queue) account(tenant string) *usage {
	if u := q.tenants[tenant]; u != nil {
		return u
	}
	if q.tenants == nil {
		q.tenants, q.resting = map[string]*usage{}, map[string]float64{}
	}
	u := &usage{tenant: tenant, used: max(q.now, q.resting[tenant])}
	delete(q.resting, tenant)
	q.tenants[tenant] = u
	return u
}

// rest closes an account with nothing waiting.
func (q *queue) rest(u *usage) {
	delete(q.tenants, u.tenant)
	if len(q.tenants) == 0 {
		q.load = 0 // no rounding error lasts
	}
	if len(q.resting) >= maxResting {
		maps.DeleteFunc(q.resting, func(_ string, used float64) bool { return used <= q.now })
	}
	if u.used > q.now && len(q.resting) < maxResting {
		q.resting[u.tenant] = u.used
	}
}

// count adds n times the member m, 1 or -1 times.
func (q *queue) count(n int, m *member) {
	q.waiting += n
	q.rows += n * m.rows
	q.load += float64(n) * m.charge
	if q.shapes == nil {
		q.shapes = map[string]tally{}
	}
	before := q.shapes[m.shape]
	after := tally{before.members + n, before.rows + n*m.rows}
	if before.rows >= q.maxRows {
		q.full--
	}
	if after.rows >= q.maxRows {
		q.full++
	}
	if after.members == 0 {
		delete(q.shapes, m.shape)
	} else {
		q.shapes[m.shape] = after
	}
}

// count adds n times the member m, 1 or -1 times.
func (u *usage) count(n int, m *member) {
	u.waiting += n
	u.rows += n * m.rows
	u.load += float64(n) * m.charge
}

func (c *class) line(u *usage) *line {
	for _, l := range c.lines {
		if l.usage == u {
			return l
		}
	}
	l := &line{usage: u}
	c.lines = append(c.lines, l)
	return l
}

func (l *line) lane(shape string) *lane {
	if found := l.find(shape); found != nil {
		return found
	}
	a := &lane{shape: shape}
	l.lanes = append(l.lanes, a)
	return a
}

func (l *line) find(shape string) *lane {
	for _, a := range l.lanes {
		if a.shape == shape {
			return a
		}
	}
	return nil
}

// oldest returns the member of l that came first.
func (l *line) oldest() *member {
	var oldest *member
	for _, a := range l.lanes {
		if oldest == nil || a.first.seq < oldest.seq {
			oldest = a.first
		}
	}
	return oldest
}

// remove takes m out of the queue, wherever it stands in its lane.
func (q *queue) remove(m *member) {
	u := q.tenants[m.tenant]
	c := &q.classes[m.class]
	l := c.line(u)
	a := l.lane(m.shape)
	if m.prev == nil {
		a.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		a.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next = nil, nil
	if a.first == nil {
		l.lanes = without(l.lanes, a)
	}
	if len(l.lanes) == 0 {
		c.lines = without(c.lines, l)
	}
	if len(c.lines) == 0 {
		c.passedOver = 0
	}
	q.count(-1, m)
	if u.count(-1, m); u.waiting == 0 {
		q.rest(u)
	}
}

// without returns list without one element; the order changes.
func without[T comparable](list []T, gone T) []T {
	for i, v := range list {
		if v == gone {
			last := len(list) - 1
			list[i] = list[last]
			var none T
			list[last] = none
			return list[:last]
		}
	}
	return list
}

// take removes and returns the members of the next batch, at least one and of at most maxRows rows unless the first alone has
// more, all of one shape; with merge false just one. It returns nil when nothing waits.
func (q *queue) take(maxRows int, merge bool) []*member {
	first := q.leader()
	if first == nil {
		return nil
	}
	q.passOver(first.class)
	q.now = max(q.now, q.tenants[first.tenant].used)
	members := []*member{first}
	q.charge(first)
	if !merge || first.rows == 0 {
		return members
	}
	rows := first.rows
	for rows < maxRows {
		m := q.rider(first.shape, maxRows-rows)
		if m == nil {
			break
		}
		rows += m.rows
		members = append(members, m)
		q.charge(m)
	}
	return members
}

// leader returns the member whose turn it is.
func (q *queue) leader() *member {
	at := -1
	for c := range q.classes {
		if len(q.classes[c].lines) == 0 {
			continue
		}
		if at < 0 || q.classes[c].passedOver >= patience {
			at = c
		}
	}
	if at < 0 {
		return nil
	}
	var first *member
	var used float64
	for _, l := range q.classes[at].lines {
		m := l.oldest()
		if first == nil || l.usage.used < used || l.usage.used == used && m.seq < first.seq {
			first, used = m, l.usage.used
		}
	}
	return first
}

// passOver counts for the other priorities that one of class led.
func (q *queue) passOver(led int) {
	for c := range q.classes {
		switch {
		case c == led:
			q.classes[c].passedOver = 0
		case c > led && len(q.classes[c].lines) > 0:
			q.classes[c].passedOver++
		}
	}
}

// rider returns the member that may ride along in what room is left.
func (q *queue) rider(shape string, room int) *member {
	for c := range q.classes {
		var best *member
		var used float64
		for _, l := range q.classes[c].lines {
			a := l.find(shape)
			if a == nil || a.first.rows > room || a.first.rows == 0 {
				continue
			}
			if best == nil || l.usage.used < used || l.usage.used == used && a.first.seq < best.seq {
				best, used = a.first, l.usage.used
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// charge takes m out of the queue at its tenant's cost.
func (q *queue) charge(m *member) {
	q.tenants[m.tenant].used += m.charge
	q.remove(m)
}

// victim returns the member that has to make room for rows more of a tenant, or nil when that tenant itself has its share:
// the last that came, at the lowest priority, of the tenant that has most rows waiting.
func (q *queue) victim(tenant string, rows int) *member {
	most := rows
	if u := q.tenants[tenant]; u != nil {
		most += u.rows
	}
	var worst *usage
	for _, u := range q.tenants {
		if u.tenant != tenant && (u.rows > most || worst != nil && u.rows == most && u.tenant < worst.tenant) {
			worst, most = u, u.rows
		}
	}
	if worst == nil {
		return nil
	}
	for c := priorities - 1; c >= 0; c-- {
		var last *member
		for _, l := range q.classes[c].lines {
			if l.usage != worst {
				continue
			}
			for _, a := range l.lanes {
				if last == nil || a.last.seq > last.seq {
					last = a.last
				}
			}
		}
		if last != nil {
			return last
		}
	}
	return nil
}

// each calls f for every member that waits, in no order.
func (q *queue) each(f func(*member)) {
	for c := range q.classes {
		for _, l := range q.classes[c].lines {
			for _, a := range l.lanes {
				for m := a.first; m != nil; m = m.next {
					f(m)
				}
			}
		}
	}
}
