package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/tandem-serve/tandem/host/tenant"
)

// cached answers a call from the node's cache, or runs it and keeps the answer. Of equal calls that come at once one runs;
// when it fails the others run themselves, so an error is nobody's but who ran into it.
func (c *call) cached(ctx context.Context) (*answer, error) {
	r := c.r
	who, err := tenant.From(ctx)
	if err != nil {
		who = "" // a request of no tenant, as in tests
	}
	key := cacheKey{tenant: string(who), target: c.identity(), in: c.in}
	for {
		e, mine := r.eng.cache.find(key)
		if mine {
			r.eng.cfg.Meter.Cache(r.rel.Name, c.node.Name, "miss")
			return c.fill(ctx, e)
		}
		outcome := "hit"
		select {
		case <-e.done:
		default:
			outcome = "shared"
			select {
			case <-e.done:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		if e.err == nil {
			r.eng.cfg.Meter.Cache(r.rel.Name, c.node.Name, outcome)
			return &answer{values: slices.Clone(e.a.values), stats: stats{cached: 1}}, nil
		}
		if !isEnd(classify(e.err)) {
			r.eng.cfg.Meter.Cache(r.rel.Name, c.node.Name, "miss")
			return c.run(ctx)
		}
		// Whoever ran it went away: somebody who still waits runs it now.
	}
}

var errPanic = errors.New("the node panicked")

// fill runs a call for everybody who waits for it. The answer that is handed on is the one that is kept, copied out of
// the memory of runners.
func (c *call) fill(ctx context.Context, e *entry) (a *answer, err error) {
	cache := c.r.eng.cache
	finished := false
	defer func() {
		if !finished { // a panic is on its way up
			cache.fail(e, errPanic)
		}
	}()
	a, err = c.run(ctx)
	finished = true
	if err != nil {
		cache.fail(e, err)
		return nil, err
	}
	kept := &answer{values: a.values}
	if a.free != nil {
		kept.values = detachAll(a.values)
		a.stats.copied += sizeOf(a.values)
		a.free()
	}
	cache.fill(e, kept, c.node.Cache.TTL, c.node.Cache.MaxBytes)
	return &answer{values: slices.Clone(kept.values), stats: a.stats}, nil
}

// identity names everything but the inputs that a call's answer depends on.
func (c *call) identity() string {
	return c.r.rel.Targets[c.node.ID].identity() + "\x00" + c.node.Function + "\x00" + string(c.node.With)
}
