package catalog

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Lease writes a lease as a publisher does that dies right after.
func (c *Catalog) Lease(ctx context.Context, t tenant.ID, id string, pins []Pin) error {
	_, err := c.lease(ctx, t, id, pins)
	return err
}

// OrphanRelease writes a release record as a publisher does that dies right after.
func (c *Catalog) OrphanRelease(ctx context.Context, t tenant.ID, id string, p ReleaseParams) error {
	rec, err := newRelease(p, c.cfg.Now())
	if err != nil {
		return err
	}
	_, err = c.bucket.create(ctx, releaseKey(t, id), rec)
	return err
}

// FillVersions stores a model with n versions.
func (c *Catalog) FillVersions(ctx context.Context, t tenant.ID, name string, n int) error {
	key, err := objectKey(KindModel, t, name)
	if err != nil {
		return err
	}
	var a aggregate
	for i := range n {
		d := fmt.Sprintf("sha256:%064x", i+1)
		if err := a.add(version{Digest: blob.Digest(d), Size: 1}); err != nil {
			return err
		}
	}
	_, err = c.bucket.create(ctx, key, a)
	return err
}

// Keys returns the keys of all records that match pattern.
func (c *Catalog) Keys(ctx context.Context, pattern string) ([]string, error) {
	return c.bucket.keys(ctx, pattern)
}

// Pinned returns what the live releases of a graph pin, by version.
func (c *Catalog) Pinned(ctx context.Context, t tenant.ID, name string) (map[int][]Pin, error) {
	key, err := objectKey(KindGraph, t, name)
	if err != nil {
		return nil, err
	}
	p, _, err := get[pointer](ctx, c.bucket, key)
	return maps.Collect(p.pinned()), err
}

// PutRaw writes the bytes of a record, whatever they are.
func (c *Catalog) PutRaw(ctx context.Context, key string, data []byte) error {
	_, err := c.bucket.kv.Put(ctx, key, data)
	return err
}

// GetRaw reads the bytes of a record.
func (c *Catalog) GetRaw(ctx context.Context, key string) ([]byte, error) {
	e, err := c.bucket.kv.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return e.Value(), nil
}

// Purge removes a record behind everybody's back.
func (c *Catalog) Purge(ctx context.Context, key string) error { return c.bucket.kv.Purge(ctx, key) }

// RaiseReconnected has all watches list again, as after a lost connection.
func (c *Catalog) RaiseReconnected() { c.bucket.reconnected.raise() }

// MirrorUsable reports whether authentication answers from memory.
func (c *Catalog) MirrorUsable() bool { return c.mirror.usable() }

// Limits and times.
const (
	LeaseTime   = leaseTime
	MaxReleases = maxReleases
	MaxVersions = maxVersions
	SweepAge    = sweepAge
)

// Encode and Decode are encode and decode of a tenant.
func Encode(t tenant.Tenant) ([]byte, error) { return encode(t) }

// Decode is the inverse of Encode.
func Decode(data []byte) (tenant.Tenant, error) { return decode[tenant.Tenant]("test", data) }

// ParseRef is parseRef, told apart by what it sets.
func ParseRef(ref string) (version int, digest, tag string, err error) {
	r, err := parseRef(ref)
	return r.version, string(r.digest), r.tag, err
}

// HeldLeases is leases.held.
func HeldLeases(ends map[string]time.Time, now time.Time) bool { return leases(ends).held(now) }
