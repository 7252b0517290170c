package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// grid is the shape of a mapped node's items: a leaf is the index of one item, anything else a list.
type grid struct {
	leaf int
	sub  []grid
	list bool
}

// mapping is a mapped node laid out flat.
type mapping struct {
	node    *graph.PlanNode
	items   [][]value.Value // inputs of each item
	answers []*answer       // nil for an item that was skipped
}

// mapped runs a node once for every item of its lists, some at a time, and puts the outputs in the lists' shape.
func (r *run) mapped(ctx context.Context, p *graph.PlanNode, n *nodeRun, in []value.Value) *Error {
	m := &mapping{node: p}
	shape, err := m.expand(0, in)
	if err != nil {
		return err
	}
	m.answers = make([]*answer, len(m.items))
	err = r.items(ctx, m)
	n.free = m.free
	n.trace.Mapped, n.trace.Items = true, len(m.items)
	for _, a := range m.answers {
		if a != nil {
			n.trace.add(a.stats)
			n.bytes = plus(n.bytes, a.bytes)
		}
	}
	if err != nil {
		return err
	}
	n.outs = make([]value.Value, len(p.Outputs))
	for i := range n.outs {
		n.outs[i], _ = m.collect(shape, i)
	}
	return nil
}

// expand lays out the items below one level.
func (m *mapping) expand(level int, in []value.Value) (grid, *Error) {
	if level == m.node.Levels {
		if len(m.items) == abi.MaxListLength {
			return grid{}, &Error{Reason: ReasonLimit, Text: fmt.Sprintf("more than %d items", abi.MaxListLength)}
		}
		m.items = append(m.items, in)
		return grid{leaf: len(m.items) - 1}, nil
	}
	count, err := m.count(level, in)
	if err != nil {
		return grid{}, err
	}
	g := grid{list: true, sub: make([]grid, count)}
	for k := range count {
		row := slices.Clone(in)
		for i := range m.node.Inputs {
			if m.node.Inputs[i].Levels > level {
				row[i] = in[i].Items[k]
			}
		}
		if g.sub[k], err = m.expand(level+1, row); err != nil {
			return grid{}, err
		}
	}
	return g, nil
}

// count returns the length that all lists of one level share.
func (m *mapping) count(level int, in []value.Value) (int, *Error) {
	count, from := -1, ""
	for i := range m.node.Inputs {
		port := &m.node.Inputs[i]
		if port.Levels <= level {
			continue
		}
		if in[i].Kind != abi.KindList {
			return 0, &Error{Reason: ReasonType, Port: port.Port, Expected: "list of " + port.Type.String(), Found: in[i].Describe(), Text: "the node is mapped over this port, and no list came"}
		}
		n := len(in[i].Items)
		if count >= 0 && n != count {
			return 0, &Error{
				Reason: ReasonType, Port: port.Port, Expected: fmt.Sprintf("%d items, as port %s has", count, from),
				Found: fmt.Sprintf("%d items", n), Text: fmt.Sprintf("lists that are mapped together have %d and %d items", count, n),
			}
		}
		count, from = n, port.Port
	}
	return max(count, 0), nil
}

// items runs all items, a bounded number at a time: mapped nodes that run at the same time, in one another or side by side, share
// their helpers, so that maps in maps do not multiply. After the first failure no new item starts.
func (r *run) items(ctx context.Context, m *mapping) *Error {
	limit := m.node.MaxParallel
	if limit <= 0 {
		limit = r.eng.cfg.MaxItems
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next  atomic.Int64
		first sync.Once
		fault *Error
		wg    sync.WaitGroup
	)
	work := func(ctx context.Context, helper bool) {
		for {
			background.Look(ctx)
			if helper && !background.Room(ctx) {
				return
			}
			i := int(next.Add(1)) - 1
			if i >= len(m.items) || ctx.Err() != nil {
				return
			}
			if err := r.item(ctx, m, i); err != nil {
				first.Do(func() {
					fault = err
					cancel(err)
				})
				return
			}
		}
	}
	for range min(limit, len(m.items)) - 1 {
		if !background.Room(ctx) {
			break
		}
		if r.helpers.Add(1) > int64(limit-1) {
			r.helpers.Add(-1)
			break
		}
		wg.Go(func() {
			defer r.helpers.Add(-1)
			ctx, task := background.Fork(ctx)
			defer task.End()
			work(ctx, true)
		})
	}
	work(ctx, false)
	background.Rest(ctx)
	wg.Wait()
	if fault == nil && ctx.Err() != nil {
		return classify(context.Cause(ctx))
	}
	return fault
}

// item runs one item. A failure of an item that may be skipped is no error.
func (r *run) item(ctx context.Context, m *mapping, i int) (err *Error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Reason: ReasonInternal, Text: "internal error", Err: fmt.Errorf("panic: %v", v)}
		}
	}()
	a, err := r.once(ctx, m.node, m.items[i])
	if err == nil {
		m.answers[i] = a
		return nil
	}
	if m.node.OnError == graph.OnErrorSkip && !isEnd(err) {
		return nil
	}
	e := *err
	e.Text = fmt.Sprintf("item %d: %s", i, err.Text)
	return &e
}

// isEnd tells the errors that end a request whatever the node says.
func isEnd(err *Error) bool {
	return errors.Is(err.Err, context.Canceled) || errors.Is(err.Err, context.DeadlineExceeded) || err.Reason == ReasonInternal
}

// collect gathers output out in the shape of the lists; ok is false for an item that was skipped.
func (m *mapping) collect(g grid, out int) (v value.Value, ok bool) {
	if !g.list {
		if m.answers[g.leaf] == nil {
			return value.Value{}, false
		}
		return m.answers[g.leaf].values[out], true
	}
	items := make([]value.Value, 0, len(g.sub))
	for _, s := range g.sub {
		if v, ok := m.collect(s, out); ok {
			items = append(items, v)
		}
	}
	return value.List(items), true
}

// free gives back the memory of all items.
func (m *mapping) free() {
	for _, a := range m.answers {
		if a != nil && a.free != nil {
			a.free()
			a.free = nil
		}
	}
}
