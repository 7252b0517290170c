package control

import (
	"context"
	"maps"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// DiskUse is what a tenant has on the disk, as its limits count it.
type DiskUse struct {
	// Objects counts models, plugins and graphs by name, those included that are on their way.
	Objects int64
	// Bytes is what blobs, releases and unfinished uploads take.
	Bytes int64
}

// DiskUse returns what a tenant has on the disk. Errors are the catalog's.
func (m *Manager) DiskUse(ctx context.Context, t tenant.ID) (DiskUse, error) {
	h, err := m.disk.held(ctx, t, nil)
	return h.use(), err
}

// addition is what a tenant wants besides what it has.
type addition struct {
	name   catalog.ObjectName
	bytes  int64
	digest blob.Digest                // of a blob that counts once; "" for other things
	is     func(blob.Unfinished) bool // reports whether an upload is the addition itself; nil: none is
}

// admit refuses what would be more than a tenant may have; what takes no more than there is, is admitted in any case. It is called in the
// tenant's turn. The error is a *tenant.QuotaError, or one of the catalog's.
func (d *disk) admit(ctx context.Context, id tenant.ID, add addition) error {
	t, err := d.catalog.GetTenant(ctx, id)
	if err != nil {
		return err
	}
	limits := t.Effective()
	if limits.Objects < 0 && limits.BlobBytes < 0 {
		return nil
	}
	h, err := d.held(ctx, id, add.is)
	if err != nil {
		return err
	}
	use := h.use()
	if _, has := h.objects[add.name]; !has && limits.Objects >= 0 && use.Objects >= limits.Objects {
		return &tenant.QuotaError{
			Quota: "objects", Limit: limits.Objects, Use: use.Objects, Need: 1, RetryAfterSeconds: tenant.RetryHeld,
			Advice: "delete models, plugins or graphs, or ask for a higher limit; uploads that are not finished count",
		}
	}
	if _, has := h.blobs[add.digest]; has {
		return nil
	}
	if add.bytes > 0 && limits.BlobBytes >= 0 && use.Bytes+add.bytes > limits.BlobBytes {
		return &tenant.QuotaError{
			Quota: "blob_bytes", Limit: limits.BlobBytes, Use: use.Bytes, Need: add.bytes, RetryAfterSeconds: tenant.RetryHeld,
			Advice: "delete versions or releases, or ask for a higher limit; what was deleted or refused counts for two minutes more",
		}
	}
	return nil
}

// held is what a tenant has.
type held struct {
	objects   map[catalog.ObjectName]struct{}
	blobs     map[blob.Digest]int64 // sizes
	bytes     int64                 // of releases and unfinished uploads
	finishing map[string]struct{}   // ids of uploads that are claimed
}

func (h held) use() DiskUse {
	u := DiskUse{Objects: int64(len(h.objects)), Bytes: h.bytes}
	for _, n := range h.blobs {
		u.Bytes += n
	}
	return u
}

// held returns what a tenant has: unfinished uploads but those that but names, claims and spares, and what the catalog tells of.
func (d *disk) held(ctx context.Context, t tenant.ID, but func(blob.Unfinished) bool) (held, error) {
	uploads := d.blobs.Held(t) // first: see disk
	h := d.claimed(t)
	for _, u := range uploads {
		if _, ok := h.finishing[u.ID]; ok || but != nil && but(u) {
			continue
		}
		h.objects[nameOf(u.UploadParams)] = struct{}{}
		h.bytes += u.Size // each has a file of its own
	}
	told, err := d.catalog.Holdings(ctx, t)
	if err != nil {
		return held{}, err
	}
	maps.Copy(h.objects, told.Objects)
	maps.Copy(h.blobs, told.Blobs)
	h.bytes += told.ReleaseBytes
	return h, nil
}

// claimed returns what the claims and spares of a tenant come to.
func (d *disk) claimed(t tenant.ID) held {
	h := held{objects: map[catalog.ObjectName]struct{}{}, blobs: map[blob.Digest]int64{}, finishing: map[string]struct{}{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.accountLocked(t)
	for c := range a.claims {
		h.bytes += c.bytes
		if c.name != (catalog.ObjectName{}) {
			h.objects[c.name] = struct{}{}
		}
		if c.upload != "" {
			h.finishing[c.upload] = struct{}{}
		}
	}
	for digest, s := range a.spares {
		h.blobs[digest] = s.size
	}
	return h
}

// nameOf returns what an upload is to become a version of.
func nameOf(p blob.UploadParams) catalog.ObjectName {
	return catalog.ObjectName{Kind: catalog.Kind(p.Kind), Name: p.Name}
}
