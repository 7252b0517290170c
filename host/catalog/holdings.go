package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// ObjectName names a model, plugin or graph of a tenant.
type ObjectName struct {
	Kind Kind
	Name string
}

// Holdings is what a tenant has in the catalog.
type Holdings struct {
	// Objects are its models, plugins and graphs.
	Objects map[ObjectName]struct{}
	// Blobs has the size, in bytes, of every blob that a version of its models and plugins names.
	Blobs map[blob.Digest]int64
	// ReleaseBytes is what the records of all releases of its graphs take; those of releases that were published before their size
	// was kept count as 0.
	ReleaseBytes int64
}

// Holdings returns what a tenant has. The caller owns it.
func (c *Catalog) Holdings(ctx context.Context, t tenant.ID) (Holdings, error) {
	if err := tenant.CheckID(t); err != nil {
		return Holdings{}, err
	}
	h := Holdings{Objects: make(map[ObjectName]struct{}), Blobs: make(map[blob.Digest]int64)}
	for _, kind := range []Kind{KindModel, KindPlugin} {
		for a, err := range scan[aggregate](ctx, c.bucket, string(kind)+"."+string(t)+".>") {
			if err != nil {
				return Holdings{}, fmt.Errorf("holdings of %s: %w", t, err)
			}
			if len(a.value.Versions) > 0 {
				h.add(a.key)
			}
			for i := range a.value.Versions {
				h.Blobs[a.value.Versions[i].Digest] = a.value.Versions[i].Size
			}
		}
	}
	for p, err := range scan[pointer](ctx, c.bucket, string(KindGraph)+"."+string(t)+".>") {
		if err != nil {
			return Holdings{}, fmt.Errorf("holdings of %s: %w", t, err)
		}
		if len(p.value.Releases) > 0 {
			h.add(p.key)
		}
		for _, r := range p.value.Releases {
			h.ReleaseBytes += r.Size
		}
	}
	return h, nil
}

func (h *Holdings) add(key string) {
	kind, _, name := splitKey(key)
	h.Objects[ObjectName{kind, name}] = struct{}{}
}

// PurgeTenant removes all keys, models, plugins, graphs and releases of a tenant, and the marks of those that it deleted.
// Nobody may be working for the tenant. It may be called again after it failed half-way.
func (c *Catalog) PurgeTenant(ctx context.Context, t tenant.ID) error {
	if err := tenant.CheckID(t); err != nil {
		return err
	}
	keys, err := c.ListKeys(ctx, t)
	if err != nil {
		return fmt.Errorf("purge %s: %w", t, err)
	}
	var errs []error
	for _, k := range keys {
		errs = append(errs, c.DeleteKey(ctx, t, k.ID))
	}
	// Not even marks of deletions are left: a tenant of the same name begins with nothing.
	for _, prefix := range []string{string(KindGraph), prefixRelease, string(KindPlugin), string(KindModel)} {
		errs = append(errs, c.bucket.erase(ctx, prefix+"."+string(t)+".>"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("purge %s: %w", t, err)
	}
	return nil
}
