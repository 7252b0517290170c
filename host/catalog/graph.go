package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PublishGraph stores a release and makes it the current one, atomically: others see the one before or this one. When
// the current release has the same digest, that one is returned and nothing changes; so is the newest one when staging.
// A pin whose version is gone, is being deleted or has another digest is [ErrNotFound]; what goes wrong after the release
// was stored is [ErrNotMoved] too. Of each graph the last 200 releases are kept, and those that are live.
func (c *Catalog) PublishGraph(ctx context.Context, t tenant.ID, p ReleaseParams) (Release, error) {
	key, err := objectKey(KindGraph, t, p.Name)
	if err != nil {
		return Release{}, err
	}
	rec, err := newRelease(p, c.cfg.Now())
	if err != nil {
		return Release{}, err
	}
	rel, err := c.publish(ctx, t, key, rec, p.Stage)
	if err != nil {
		return Release{}, fmt.Errorf("publish graph %s: %w", p.Name, err)
	}
	return rel, nil
}

// Weigh returns what the record of a release to publish would take, in bytes, to within some for its time: 0 when publishing it would
// change nothing. Errors are those of PublishGraph that come before anything is written.
func (c *Catalog) Weigh(ctx context.Context, t tenant.ID, p ReleaseParams) (int64, error) {
	key, err := objectKey(KindGraph, t, p.Name)
	if err != nil {
		return 0, err
	}
	rec, err := newRelease(p, c.cfg.Now())
	if err != nil {
		return 0, err
	}
	cur, _, err := get[pointer](ctx, c.bucket, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("graph %s: %w", p.Name, err)
	}
	if _, ok := cur.has(rec, p.Stage); ok {
		return 0, nil
	}
	return rec.size()
}

func (c *Catalog) publish(ctx context.Context, t tenant.ID, key string, rec releaseRecord, stage bool) (Release, error) {
	if cur, _, err := get[pointer](ctx, c.bucket, key); err == nil {
		if h, ok := cur.has(rec, stage); ok {
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
	// From here on it goes to its end without the caller: one that leaves in between, again and again, would fill the store with
	// records that nothing names.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	if _, err := c.bucket.create(ctx, releaseKey(t, id), rec); err != nil {
		return Release{}, err
	}
	rel, err := c.moveOn(ctx, t, key, id, rec, stage, due)
	if err != nil {
		return Release{}, fmt.Errorf("%w: %w", ErrNotMoved, err)
	}
	return rel, nil
}

// moveOn adds a stored release to its graph and, unless it is only staged, makes it the current one. It removes what
// thereby is of no use any more.
func (c *Catalog) moveOn(ctx context.Context, t tenant.ID, key, id string, rec releaseRecord, stage bool, due time.Time) (Release, error) {
	var head releaseHead
	var gone []releaseHead
	size, err := rec.size()
	if err != nil {
		return Release{}, err
	}
	p, _, err := update(ctx, c.bucket, key, func(p *pointer) error {
		if h, ok := p.has(rec, stage); ok {
			head = h
			if h.ID != id { // somebody was faster
				gone = []releaseHead{{ID: id}}
			}
			return errUnchanged
		}
		if !c.cfg.Now().Before(due) {
			return fmt.Errorf("%w: it took too long", ErrConflict)
		}
		head = p.add(releaseHead{ID: id, Digest: rec.Digest, CreatedAt: rec.CreatedAt, By: rec.By, Staged: stage, Size: size}, rec.Pins)
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
		for _, pins := range other.value.pinned() {
			for _, pin := range pins {
				if pin.Kind == KindGraph && pin.Name == name {
					keep[pin.Version] = true
				}
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

// GetGraph returns the release that ref names: "" the current one, "@latest" the newest, "@3" a version, "@prod" a tag,
// "@sha256:…" the newest with that digest. The "@" may be left out. It returns [ErrNotFound], [ErrInvalid] or
// tenant.ErrName.
func (c *Catalog) GetGraph(ctx context.Context, t tenant.ID, name, ref string) (Release, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Release{}, err
	}
	r, err := parseRef(ref)
	if err != nil {
		return Release{}, err
	}
	_, _, rel, err := c.readRelease(ctx, t, key, r)
	if errors.Is(err, ErrNotFound) {
		// The graph may have moved on between the two reads, and its oldest release may have been removed.
		_, _, rel, err = c.readRelease(ctx, t, key, r)
	}
	if err != nil {
		return Release{}, fmt.Errorf("graph %s%s: %w", name, at(ref), err)
	}
	return rel, nil
}

func (c *Catalog) readRelease(ctx context.Context, t tenant.ID, key string, r reference) (*pointer, releaseHead, Release, error) {
	p, _, err := get[pointer](ctx, c.bucket, key)
	if err != nil {
		return nil, releaseHead{}, Release{}, err
	}
	h, err := p.find(r)
	if err != nil {
		return nil, releaseHead{}, Release{}, err
	}
	rec, _, err := get[releaseRecord](ctx, c.bucket, releaseKey(t, h.ID))
	if err != nil {
		return nil, releaseHead{}, Release{}, fmt.Errorf("release %d: %w", h.Version, err)
	}
	return &p, h, rec.release(h, t, &p), nil
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

// DescribeGraph returns where the calls of a graph go and its releases, or [ErrNotFound].
func (c *Catalog) DescribeGraph(ctx context.Context, t tenant.ID, name string) (Graph, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Graph{}, err
	}
	p, rev, err := get[pointer](ctx, c.bucket, key)
	if err == nil && len(p.Releases) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Graph{}, fmt.Errorf("graph %s: %w", name, err)
	}
	return p.graph(t, name, rev), nil
}

// PinnedBy returns what the live releases of a graph pin, those of one after those of the other; nothing for a graph that is not
// there.
func (c *Catalog) PinnedBy(ctx context.Context, t tenant.ID, name string) ([]Pin, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return nil, err
	}
	p, _, err := get[pointer](ctx, c.bucket, key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("graph %s: %w", name, err)
	}
	var all []Pin
	for _, pins := range p.pinned() {
		all = append(all, pins...)
	}
	return all, nil
}

// graph returns what p says.
func (p *pointer) graph(t tenant.ID, name string, rev uint64) Graph {
	g := Graph{Tenant: t, Name: name, Revision: rev, Current: p.Current, Previous: p.previous(), Tags: make(map[string]int, len(p.Tags)+4)}
	maps.Copy(g.Tags, p.Tags)
	for _, tag := range []string{Latest, Current, Previous, CanaryTag} {
		if n := p.number(reference{tag: tag}); n != 0 {
			g.Tags[tag] = n
		}
	}
	if p.Canary != nil {
		canary := *p.Canary
		g.Canary = &canary
	}
	for _, h := range slices.Backward(p.Releases) {
		g.Releases = append(g.Releases, h.release(t, name, p))
	}
	return g
}

// has reports whether publishing rec would change nothing, and returns the release that does what rec would: the current
// one or, when staging, the newest.
func (p *pointer) has(rec releaseRecord, stage bool) (releaseHead, bool) {
	h, err := p.find(reference{})
	if err == nil && h.Digest == rec.Digest {
		return h, true
	}
	if !stage {
		return h, false
	}
	h, err = p.find(reference{tag: Latest})
	return h, err == nil && h.Digest == rec.Digest
}

// size returns what the record takes in the store, in bytes.
func (r *releaseRecord) size() (int64, error) {
	data, err := encode(r)
	return int64(len(data)), err
}

func (r *releaseRecord) release(h releaseHead, t tenant.ID, p *pointer) Release {
	rel := h.release(t, r.Name, p)
	rel.Document, rel.Pins = r.Document, r.Pins
	return rel
}

func releaseKey(t tenant.ID, id string) string { return prefixRelease + "." + string(t) + "." + id }
