package catalog

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// maxGraphTags is the most tags of a graph: each keeps a release and what it pins.
const maxGraphTags = 100

// Moved tells of a change of where the calls of a graph go: how it was, and how it is.
type Moved struct{ Was, Now Graph }

// CanaryParams starts or changes a canary.
type CanaryParams struct {
	// Version is the release that is to get a part of the calls. It is not the current one.
	Version int
	// Percent of the calls, above 0 and at most 100.
	Percent float64
	// Sticky is kept for whoever divides the calls.
	Sticky string
	// Base is the release that was current when the caller looked; when another is, nothing changes. 0 is any.
	Base int
}

// ActivateGraph makes a release the current one for all calls, and ends a canary. Version 0 is a roll-back: it takes the
// newest release before the current one that has been current itself. What a release pins must still be there, else it is
// [ErrNotFound]. For a live release it is one write.
func (c *Catalog) ActivateGraph(ctx context.Context, t tenant.ID, name string, version int) (Moved, error) {
	r := reference{version: version}
	if version == 0 {
		r = reference{tag: Previous}
	}
	m, err := c.moveGraph(ctx, t, name, r, func(p *pointer, v int, pins []Pin) error {
		if version == 0 && p.previous() != v {
			return ErrConflict
		}
		if p.Current == v && p.Canary == nil {
			return errUnchanged
		}
		p.moveTo(v, pins)
		return nil
	})
	if err != nil {
		return Moved{}, fmt.Errorf("activate graph %s%s: %w", name, r.at(), err)
	}
	return m, nil
}

// SetCanary starts a canary or changes it. It returns [ErrConflict] when the current release is not p.Base, and
// [ErrInvalid] for the current release or a share that is none.
func (c *Catalog) SetCanary(ctx context.Context, t tenant.ID, name string, cp CanaryParams) (Moved, error) {
	if !(cp.Percent > 0 && cp.Percent <= 100) {
		return Moved{}, fmt.Errorf("%w: a canary of %v percent, want more than 0 and at most 100", ErrInvalid, cp.Percent)
	}
	m, err := c.moveGraph(ctx, t, name, reference{version: cp.Version}, func(p *pointer, v int, pins []Pin) error {
		switch {
		case p.Current == v:
			return fmt.Errorf("%w: release %d is the current one", ErrInvalid, v)
		case cp.Base != 0 && p.Current != cp.Base:
			return fmt.Errorf("%w: release %d is the current one now", ErrConflict, p.Current)
		}
		started := c.cfg.Now().UTC()
		if p.Canary != nil && p.Canary.Version == v {
			started = p.Canary.StartedAt
		}
		p.Canary = &Canary{Version: v, Percent: cp.Percent, Sticky: cp.Sticky, StartedAt: started}
		p.hold(v, pins)
		p.letGo()
		return nil
	})
	if err != nil {
		return Moved{}, fmt.Errorf("canary of graph %s@%d: %w", name, cp.Version, err)
	}
	return m, nil
}

// PromoteCanary makes the canary the current release for all calls. Version, unless it is 0, says which one the caller
// means: another one is [ErrConflict], none at all [ErrNotFound].
func (c *Catalog) PromoteCanary(ctx context.Context, t tenant.ID, name string, version int) (Moved, error) {
	m, err := c.moveGraph(ctx, t, name, reference{tag: CanaryTag}, func(p *pointer, v int, pins []Pin) error {
		if p.Canary == nil || p.Canary.Version != v || version != 0 && version != v {
			return fmt.Errorf("%w: the canary is not what it was", ErrConflict)
		}
		p.moveTo(v, pins)
		return nil
	})
	if err != nil {
		return Moved{}, fmt.Errorf("promote the canary of graph %s: %w", name, err)
	}
	return m, nil
}

// AbortCanary gives all calls to the current release again, or returns [ErrNotFound] when there is no canary.
func (c *Catalog) AbortCanary(ctx context.Context, t tenant.ID, name string) (Moved, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Moved{}, err
	}
	m, err := c.changeGraph(ctx, t, name, key, func(p *pointer) error {
		if p.Canary == nil {
			return ErrNotFound
		}
		p.Canary = nil
		p.letGo()
		return nil
	})
	if err != nil {
		return Moved{}, fmt.Errorf("abort the canary of graph %s: %w", name, err)
	}
	return m, nil
}

// moveGraph changes a graph's record so that the release that r names now may become live: what it pins is protected
// until change has been written. change gets the release's version and pins.
func (c *Catalog) moveGraph(
	ctx context.Context, t tenant.ID, name string, r reference, change func(p *pointer, version int, pins []Pin) error,
) (Moved, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Moved{}, err
	}
	p, h, rel, err := c.readRelease(ctx, t, key, r)
	if err != nil {
		return Moved{}, err
	}
	var due time.Time
	if !p.holds(h.Version) {
		id := strings.ToLower(rand.Text())
		defer c.unlease(ctx, t, id, rel.Pins)
		if due, err = c.lease(ctx, t, id, rel.Pins); err != nil {
			return Moved{}, err
		}
	}
	return c.changeGraph(ctx, t, name, key, func(p *pointer) error {
		if now, err := p.find(reference{version: h.Version}); err != nil || now.ID != h.ID {
			return ErrNotFound
		}
		if !p.holds(h.Version) && !c.cfg.Now().Before(due) {
			return fmt.Errorf("%w: it took too long", ErrConflict)
		}
		return change(p, h.Version, rel.Pins)
	})
}

// changeGraph changes a graph's record and returns how it was and how it is.
func (c *Catalog) changeGraph(ctx context.Context, t tenant.ID, name, key string, change func(*pointer) error) (Moved, error) {
	var m Moved
	p, rev, err := update(ctx, c.bucket, key, func(p *pointer) error {
		if len(p.Releases) == 0 {
			return ErrNotFound
		}
		m.Was = p.graph(t, name, 0)
		return change(p)
	})
	if err != nil {
		return Moved{}, err
	}
	m.Now = p.graph(t, name, rev)
	return m, nil
}
