package sandbox

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compileJobs are jobs of tenants, named "a1" for the first one of tenant a.
type compileJobs struct {
	*compiles
	names []string
	jobs  map[string]*compileJob
}

func (c *compileJobs) add(names ...string) {
	for _, name := range names {
		c.names, c.jobs[name] = append(c.names, name), newCompileJob()
		c.compiles.add(name[:1], c.jobs[name])
	}
}

// begun returns the jobs that may go on and are not over.
func (c *compileJobs) begun() (names []string) {
	for _, name := range c.names {
		if j := c.jobs[name]; j.payer != nil && !j.over {
			names = append(names, name)
		}
	}
	return names
}

func (c *compileJobs) want(t *testing.T, names ...string) {
	t.Helper()
	if diff := cmp.Diff(names, c.begun()); diff != "" {
		t.Errorf("compiling (-want +got):\n%s", diff)
	}
}

// A tenant that pushes many modules keeps no other one from compiling, and those of one tenant compile in their order.
func TestCompilesTakeTurns(t *testing.T) {
	c := &compileJobs{compiles: newCompiles(4), jobs: map[string]*compileJob{}}
	c.add("a1", "a2", "a3", "a4")
	c.want(t, "a1", "a2")
	c.add("b1", "b2", "b3", "c1", "c2")
	c.want(t, "a1", "a2", "b1", "b2")
	c.end(c.jobs["a1"])
	c.want(t, "a2", "b1", "b2", "c1")
	c.end(c.jobs["b1"])
	c.want(t, "a2", "a3", "b2", "c1") // b has been served after a
	for _, name := range []string{"a2", "a3", "b2", "c1", "a4", "b3", "c2"} {
		c.end(c.jobs[name])
	}
	if len(c.queues) > 0 || c.running > 0 {
		t.Errorf("in the end there are %d tenants, and %d modules compile", len(c.queues), c.running)
	}
}

// A module that two tenants wait for compiles when the first of them has a turn, once.
func TestCompileOfTwoTenants(t *testing.T) {
	c := &compileJobs{compiles: newCompiles(1), jobs: map[string]*compileJob{}}
	c.add("x1", "a1", "a2", "a3")
	c.compiles.add("b", c.jobs["a3"])
	c.end(c.jobs["x1"])
	c.want(t, "a1")
	c.end(c.jobs["a1"])
	c.want(t, "a3")
	c.end(c.jobs["a3"])
	c.want(t, "a2")
}

// Who leaves before its turn takes nobody's place.
func TestCompileThatIsGivenUp(t *testing.T) {
	c := &compileJobs{compiles: newCompiles(1), jobs: map[string]*compileJob{}}
	c.add("a1", "b1", "c1")
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := c.begin(ctx, c.jobs["b1"]); !errors.Is(err, gone) {
		t.Errorf("got %v, want the cause", err)
	}
	c.end(c.jobs["b1"])
	c.compiles.add("d", c.jobs["b1"])
	c.want(t, "a1")
	c.end(c.jobs["a1"])
	c.want(t, "c1")
}
