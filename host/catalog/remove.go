package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-serve/tandem/host/tenant"
)

// DeleteGraph removes the release that ref names, or with ref "" the whole graph. It returns an [*InUseError] when a live
// release of another graph pins what is to go, or when calls go to the release itself: it is current, the canary or has a
// tag. While a release that pins it is being published it is [ErrConflict].
func (c *Catalog) DeleteGraph(ctx context.Context, t tenant.ID, name, ref string) (Removed, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return Removed{}, err
	}
	r, err := parseRef(ref)
	if err != nil {
		return Removed{}, err
	}
	var removed Removed
	var gone []releaseHead
	_, _, err = update(ctx, c.bucket, key, func(p *pointer) error {
		h, err := p.find(r)
		if err != nil {
			return err
		}
		if p.Leases.held(c.cfg.Now()) {
			return errBusy
		}
		if ref == "" {
			if err := c.checkUnused(ctx, KindGraph, t, name, 0); err != nil {
				return err
			}
			removed, gone = p.removed(), p.Releases
			*p = pointer{Last: p.Last}
			return nil
		}
		if by := p.usedBy(h.Version); len(by) > 0 {
			return newInUse(KindGraph, fmt.Sprintf("%s@%d", name, h.Version), by)
		}
		if err := c.checkUnused(ctx, KindGraph, t, name, h.Version); err != nil {
			return err
		}
		removed, gone = Removed{Versions: []int{h.Version}}, []releaseHead{h}
		p.remove(h.Version)
		return nil
	})
	if _, ok := errors.AsType[*InUseError](err); ok {
		return Removed{}, err
	}
	if err != nil {
		return Removed{}, fmt.Errorf("delete graph %s%s: %w", name, at(ref), err)
	}
	c.removeReleases(ctx, t, gone)
	return removed, nil
}

// usedBy says what calls of p's own graph go to a release.
func (p *pointer) usedBy(version int) []string {
	var by []string
	if version == p.Current {
		by = append(by, "calls, as the current release")
	}
	if p.Canary != nil && version == p.Canary.Version {
		by = append(by, "calls, as the canary")
	}
	for tag, tagged := range p.Tags {
		if tagged == version {
			by = append(by, "tag "+tag)
		}
	}
	return by
}

// remove takes out a release that nothing uses.
func (p *pointer) remove(version int) {
	p.Releases = slices.DeleteFunc(p.Releases, func(h releaseHead) bool { return h.Version == version })
	if p.Before == version {
		p.Before = 0
	}
	p.letGo()
}

// removed tells of the removal of all releases.
func (p *pointer) removed() Removed {
	r := Removed{Tags: slices.Sorted(maps.Keys(p.Tags))}
	for _, h := range p.Releases {
		r.Versions = append(r.Versions, h.Version)
	}
	return r
}
