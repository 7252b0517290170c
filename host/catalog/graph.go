package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PublishGraph stores a release and makes it the current one, atomically: others see the one before or this one. When
// the current release has the same digest, that one is returned and nothing changes. A pin whose version is gone, is
// being deleted or has another digest is [ErrNotFound]. Of each graph the last 200 releases are kept.
func (c *Catalog) PublishGraph(ctx context.Context, t tenant.ID, p ReleaseParams) (Release, error) {
	key, err := objectKey(KindGraph, t, p.Name)
	if err != nil {
		return Release{}, err
	}
	rec, err := newRelease(p, c.cfg.Now())
	if err != nil {
		return Release{}, err
	}
	rel, err := c.publish(ctx, t, key, rec)
	if err != nil {
		return Release{}, fmt.Errorf("publish graph %s: %w", p.Name, err)
	}
	return rel, nil
}

func (c *Catalog) publish(ctx context.Context, t tenant.ID, key string, rec releaseRecord) (Release, error) {
	if cur, _, err := get[pointer](ctx, c.bucket, key); err == nil {
		if h, ok := cur.isCurrent(rec); ok {
			return rec.release(h, t, &cur), nil
		}
	} else if !errors.Is(err, ErrNotFound) {
		return Release{}, err
	}
	id := strings.ToLower(rand.Text())
	defer c.unlease(ctx, t, id, rec.Pins)
	due, err := c.lease(ctx, t, id, rec.Pins)
	if err != nil {
		return Release{}, err
	}
	if _, err := c.bucket.create(ctx, releaseKey(t, id), rec); err != nil {
		return Release{}, err
	}
	return c.moveOn(ctx, t, key, id, rec, due)
}

// moveOn makes a stored release the current one, and removes what thereby is of no use any more.
func (c *Catalog) moveOn(ctx context.Context, t tenant.ID, key, id string, rec releaseRecord, due time.Time) (Release, error) {
	var head releaseHead
	var gone []releaseHead
	p, _, err := update(ctx, c.bucket, key, func(p *pointer) error {
		if h, ok := p.isCurrent(rec); ok {
			head = h
			if h.ID != id { // somebody was faster
				gone = []releaseHead{{ID: id}}
			}
			return errUnchanged
		}
		if !c.cfg.Now().Before(due) {
			return fmt.Errorf("%w: it took too long", ErrConflict)
		}
		head = p.add(releaseHead{ID: id, Digest: rec.Digest, CreatedAt: rec.CreatedAt}, rec.Pins)
		var err error
		gone, err = c.trim(ctx, t, rec.Name, p)
		return err
	})
	if err != nil {
		return Release{}, err // a record that nothing names is swept
	}
	c.removeReleases(ctx, t, gone)
	return rec.release(head, t, &p), nil
}

// trim removes the oldest releases that nothing needs from p, and returns them.
func (c *Catalog) trim(ctx context.Context, t tenant.ID, name string, p *pointer) ([]releaseHead, error) {
	if len(p.Releases) <= maxReleases || p.Leases.held(c.cfg.Now()) {
		return nil, nil
	}
	keep := make(map[int]bool)
	for other, err := range scan[pointer](ctx, c.bucket, string(KindGraph)+"."+string(t)+".>") {
		if err != nil {
			return nil, err
		}
		for _, pin := range other.value.Pins {
			if pin.Kind == KindGraph && pin.Name == name {
				keep[pin.Version] = true
			}
		}
	}
	return p.trim(keep), nil
}

// removeReleases removes release records that nothing names any more. Those that it cannot remove are swept.
func (c *Catalog) removeReleases(ctx context.Context, t tenant.ID, heads []releaseHead) {
	for _, h := range heads {
		if err := c.bucket.remove(ctx, releaseKey(t, h.ID)); err != nil {
			return
		}
	}
}

// GetGraph returns the release that ref names: "" the current one, "@latest" the newest, "@3" a version, "@sha256:…" the
// newest with that digest. The "@" may be left out. It returns [ErrNotFound], [ErrInvalid] or tenant.ErrName.
func (c *Catalog) GetGraph(ctx context.Context, t tenant.ID, name, ref string) (Release, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Release{}, err
	}
	r, err := parseRef(ref)
	if err != nil {
		return Release{}, err
	}
	_, rel, err := c.readRelease(ctx, t, key, r)
	if errors.Is(err, ErrNotFound) {
		// The graph may have moved on between the two reads, and its oldest release may have been removed.
		_, rel, err = c.readRelease(ctx, t, key, r)
	}
	if err != nil {
		return Release{}, fmt.Errorf("graph %s%s: %w", name, at(ref), err)
	}
	return rel, nil
}

func (c *Catalog) readRelease(ctx context.Context, t tenant.ID, key string, r reference) (releaseHead, Release, error) {
	p, _, err := get[pointer](ctx, c.bucket, key)
	if err != nil {
		return releaseHead{}, Release{}, err
	}
	h, err := p.find(r)
	if err != nil {
		return releaseHead{}, Release{}, err
	}
	rec, _, err := get[releaseRecord](ctx, c.bucket, releaseKey(t, h.ID))
	if err != nil {
		return releaseHead{}, Release{}, fmt.Errorf("release %d: %w", h.Version, err)
	}
	return h, rec.release(h, t, &p), nil
}

// ListGraphs returns the current release of every graph, sorted by name, and a token for more, "" when there are none.
// Documents are left out.
func (c *Catalog) ListGraphs(ctx context.Context, t tenant.ID, page Page) ([]Release, string, error) {
	return list(ctx, c.bucket, KindGraph, t, page, func(name string, p pointer) (Release, bool) {
		h, err := p.find(reference{})
		if err != nil {
			return Release{}, false
		}
		rel := h.release(t, name, &p)
		rel.Pins = p.Pins
		return rel, true
	})
}

// GraphReleases returns the releases of a graph that are kept, newest first, without documents and pins.
func (c *Catalog) GraphReleases(ctx context.Context, t tenant.ID, name string) ([]Release, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return nil, err
	}
	p, _, err := get[pointer](ctx, c.bucket, key)
	if err == nil && len(p.Releases) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("graph %s: %w", name, err)
	}
	rels := make([]Release, 0, len(p.Releases))
	for _, h := range slices.Backward(p.Releases) {
		rels = append(rels, h.release(t, name, &p))
	}
	return rels, nil
}

// ActivateGraph makes an earlier release the current one again: a roll-back. What it pins must still be there, else it
// is [ErrNotFound].
func (c *Catalog) ActivateGraph(ctx context.Context, t tenant.ID, name string, version int) (Release, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Release{}, err
	}
	rel, err := c.activate(ctx, t, key, version)
	if err != nil {
		return Release{}, fmt.Errorf("activate graph %s@%d: %w", name, version, err)
	}
	return rel, nil
}

func (c *Catalog) activate(ctx context.Context, t tenant.ID, key string, version int) (Release, error) {
	if version < 1 {
		return Release{}, ErrNotFound
	}
	h, rel, err := c.readRelease(ctx, t, key, reference{version: version})
	if err != nil {
		return Release{}, err
	}
	id := strings.ToLower(rand.Text())
	defer c.unlease(ctx, t, id, rel.Pins)
	due, err := c.lease(ctx, t, id, rel.Pins)
	if err != nil {
		return Release{}, err
	}
	_, _, err = update(ctx, c.bucket, key, func(p *pointer) error {
		if now, err := p.find(reference{version: version}); err != nil || now.ID != h.ID {
			return ErrNotFound
		}
		if p.Current == version {
			return errUnchanged
		}
		if !c.cfg.Now().Before(due) {
			return fmt.Errorf("%w: it took too long", ErrConflict)
		}
		p.moveTo(h, rel.Pins)
		return nil
	})
	rel.Current = err == nil
	return rel, err
}

// DeleteGraph removes a graph and its releases. It returns an [*InUseError] when another graph's current release pins
// it, and [ErrConflict] when one that does is being published.
func (c *Catalog) DeleteGraph(ctx context.Context, t tenant.ID, name string) error {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return err
	}
	var gone []releaseHead
	_, _, err = update(ctx, c.bucket, key, func(p *pointer) error {
		if len(p.Releases) == 0 {
			return ErrNotFound
		}
		if p.Leases.held(c.cfg.Now()) {
			return errBusy
		}
		if err := c.checkUnused(ctx, KindGraph, t, name, 0); err != nil {
			return err
		}
		gone = p.Releases
		*p = pointer{Last: p.Last}
		return nil
	})
	if _, ok := errors.AsType[*InUseError](err); ok {
		return err
	}
	if err != nil {
		return fmt.Errorf("delete graph %s: %w", name, err)
	}
	c.removeReleases(ctx, t, gone)
	return nil
}

// isCurrent reports whether the current release does what rec would, and returns it.
func (p *pointer) isCurrent(rec releaseRecord) (releaseHead, bool) {
	h, err := p.find(reference{})
	return h, err == nil && h.Digest == rec.Digest
}

func (r *releaseRecord) release(h releaseHead, t tenant.ID, p *pointer) Release {
	rel := h.release(t, r.Name, p)
	rel.Document, rel.Pins = r.Document, r.Pins
	return rel
}

func releaseKey(t tenant.ID, id string) string { return prefixRelease + "." + string(t) + "." + id }
