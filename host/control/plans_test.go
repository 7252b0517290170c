package control

import (
	"fmt"
	"testing"

	"github.com/tandem-serve/tandem/host/graph"
)

func TestPlansAreBounded(t *testing.T) {
	p := newPlans()
	key := func(i int) planKey { return planKey{tenant: "t", name: "g", version: i} }
	first := &graph.Plan{Name: "first"}
	p.keep(&planEntry{key: key(0), plan: first, size: 10})
	for i := 1; i <= 2*maxPlans; i++ {
		p.keep(&planEntry{key: key(i), plan: &graph.Plan{Name: fmt.Sprint(i)}, size: 10})
		if p.find(key(0)) != first {
			t.Fatalf("the plan that is asked for all the time made room after %d", i)
		}
	}
	if len(p.m) != maxPlans || p.order.Len() != maxPlans || p.bytes != 10*maxPlans {
		t.Errorf("%d plans, %d in order, %d bytes; want %d", len(p.m), p.order.Len(), p.bytes, maxPlans)
	}
	if p.find(key(1)) != nil {
		t.Error("the oldest plan is still there")
	}
	p.keep(&planEntry{key: key(-1), plan: first, size: maxPlanBytes})
	if len(p.m) != 1 || p.bytes != maxPlanBytes {
		t.Errorf("%d plans with %d bytes beside one that fills the room", len(p.m), p.bytes)
	}
}
