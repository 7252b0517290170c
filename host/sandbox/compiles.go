package sandbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// compiles says which modules may be compiled now: a few at once, and at most half of these, but one, of one tenant. The others wait:
// next is one of the tenant that has the fewest going on, of several the one whose turn was longest ago.
type compiles struct {
	most int

	mu      sync.Mutex // guards the following, and the fields of queues and jobs
	running int
	queues  []*compileQueue // of the tenants that have something to compile, the one whose turn was longest ago first
}

// compileQueue is what one tenant has to compile.
type compileQueue struct {
	tenant  string
	running int
	waiting []*compileJob // oldest first
}

// compileJob is a module to be compiled. It may stand in the queues of several tenants: it begins when the turn of one of them comes.
type compileJob struct {
	ready chan struct{} // closed when it may begin
	payer *compileQueue // of the tenant whose turn it has; nil before
	over  bool
}

func newCompiles(most int) *compiles { return &compiles{most: most} }

func newCompileJob() *compileJob { return &compileJob{ready: make(chan struct{})} }

// add has a job wait for a turn of one more tenant. A job that has begun or is over stays as it is.
func (c *compiles) add(tenant string, j *compileJob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.payer != nil || j.over {
		return
	}
	at := slices.IndexFunc(c.queues, func(q *compileQueue) bool { return q.tenant == tenant })
	if at < 0 {
		at = len(c.queues)
		c.queues = append(c.queues, &compileQueue{tenant: tenant})
	}
	if q := c.queues[at]; !slices.Contains(q.waiting, j) {
		q.waiting = append(q.waiting, j)
	}
	c.dispatchLocked()
}

// begin waits until a job may begin, or returns the cause of ctx's end. The job must be ended in either case.
func (c *compiles) begin(ctx context.Context, j *compileJob) error {
	select {
	case <-j.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("compile: %w", context.Cause(ctx))
	}
}

// end lets another job begin in the place of one that began, or takes one out that did not.
func (c *compiles) end(j *compileJob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j.over = true
	if j.payer != nil {
		j.payer.running--
		c.running--
	}
	c.removeLocked(j)
	c.dispatchLocked()
}

// dispatchLocked has jobs begin as long as there is room.
func (c *compiles) dispatchLocked() {
	for c.running < c.most {
		at := c.nextLocked()
		if at < 0 {
			return
		}
		q := c.queues[at]
		j := q.waiting[0]
		j.payer = q
		q.running++
		c.running++
		c.queues = append(slices.Delete(c.queues, at, at+1), q)
		c.removeLocked(j)
		close(j.ready)
	}
}

// nextLocked returns the place of the queue whose turn it is, -1 when none may have one.
func (c *compiles) nextLocked() int {
	next := -1
	for i, q := range c.queues {
		if len(q.waiting) > 0 && q.running < max(1, c.most/2) && (next < 0 || q.running < c.queues[next].running) {
			next = i
		}
	}
	return next
}

// removeLocked has a job wait no more, and forgets the tenants that have nothing left.
func (c *compiles) removeLocked(j *compileJob) {
	for _, q := range c.queues {
		q.waiting = slices.DeleteFunc(q.waiting, func(other *compileJob) bool { return other == j })
	}
	c.queues = slices.DeleteFunc(c.queues, func(q *compileQueue) bool { return q.running == 0 && len(q.waiting) == 0 })
}
