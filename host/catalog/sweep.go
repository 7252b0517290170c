package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/blob"
)

// sweepAge is the age from which what nothing names is swept. A publisher is done long before.
const sweepAge = time.Hour

// References returns the digests of all blobs that models and plugins of any tenant name, and those that live graph
// releases pin. What it does not name may be collected, once it is older than an upload needs to become an object.
func (c *Catalog) References(ctx context.Context) (map[blob.Digest]struct{}, error) {
	refs := make(map[blob.Digest]struct{})
	for _, kind := range []Kind{KindModel, KindPlugin} {
		for a, err := range scan[aggregate](ctx, c.bucket, string(kind)+".>") {
			if err != nil {
				return nil, fmt.Errorf("references: %w", err)
			}
			for _, v := range a.value.Versions {
				refs[v.Digest] = struct{}{}
			}
		}
	}
	for p, err := range scan[pointer](ctx, c.bucket, string(KindGraph)+".>") {
		if err != nil {
			return nil, fmt.Errorf("references: %w", err)
		}
		for _, pins := range p.value.pinned() {
			for _, pin := range pins {
				if pin.Kind != KindGraph {
					refs[pin.Digest] = struct{}{}
				}
			}
		}
	}
	return refs, nil
}

// Sweep removes what crashes and deletions left behind: release records that no graph names, and the marks of deleted
// records. It leaves what is younger than an hour, which may be in use still. Call it now and then.
func (c *Catalog) Sweep(ctx context.Context) error {
	before := c.cfg.Now().Add(-sweepAge)
	if err := c.sweepReleases(ctx, before); err != nil {
		return fmt.Errorf("sweep releases: %w", err)
	}
	if err := c.bucket.kv.PurgeDeletes(ctx, jetstream.DeleteMarkersOlderThan(sweepAge)); err != nil {
		return fmt.Errorf("sweep marks: %w", translate(err))
	}
	return nil
}

// sweepReleases removes the release records that were made before a moment and are named by no graph. The records are
// read first: one that a graph moves on to meanwhile is named when the graphs are read.
func (c *Catalog) sweepReleases(ctx context.Context, before time.Time) error {
	old := make(map[string]struct{})
	for r, err := range scan[releaseRecord](ctx, c.bucket, prefixRelease+".>") {
		if err != nil {
			return err
		}
		if r.value.CreatedAt.Before(before) {
			old[r.key] = struct{}{}
		}
	}
	for p, err := range scan[pointer](ctx, c.bucket, string(KindGraph)+".>") {
		if err != nil {
			return err
		}
		_, t, _ := splitKey(p.key)
		for _, h := range p.value.Releases {
			delete(old, releaseKey(t, h.ID))
		}
	}
	for key := range old {
		if err := c.bucket.remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
