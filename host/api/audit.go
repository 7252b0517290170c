package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

var errNotAudited = errors.New("the change was made, but could not be written to the audit log")

// change is what a handler changed: a thing of a kind and a name that belongs to a tenant, with the digests of what was
// there before and is there now: of a file, a release, or the record of a tenant or key. Nothing was there before what was made, and is
// there after what was removed: "". That a tenant is there belongs to tenant.Default.
type change struct {
	tenant             tenant.ID
	action, kind, name string
	before, after      string
}

// changed writes a change to the audit log, durably. Handlers call it before they answer.
func (h *handler) changed(ctx context.Context, c change) error {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return err
	}
	err = h.cfg.Audit.Append(context.WithoutCancel(ctx), audit.Change{
		At: time.Now().UTC(), Tenant: c.tenant, Actor: p.Actor(), By: p.Tenant, Action: c.action, Kind: c.kind, Name: c.name,
		Before: c.before, After: c.after, RequestID: requestID(ctx),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotAudited, err)
	}
	return nil
}

// digestOf returns the digest of what a reference means now, "" for nothing. It is for the audit log only: nothing is decided
// by it.
func (h *handler) digestOf(ctx context.Context, kind catalog.Kind, t tenant.ID, ref string) string {
	name, at := splitRef(ref)
	switch kind {
	case catalog.KindModel:
		if m, err := h.cfg.Catalog.GetModel(ctx, t, name, at); err == nil {
			return string(m.Digest)
		}
	case catalog.KindPlugin:
		if p, err := h.cfg.Catalog.GetPlugin(ctx, t, name, at); err == nil {
			return string(p.Digest)
		}
	case catalog.KindGraph:
		if g, err := h.cfg.Catalog.GetGraph(ctx, t, name, at); err == nil {
			return string(g.Digest)
		}
	}
	return ""
}

// digestOfRecord returns the digest of a record: of its JSON, in which fields always have the same order.
func digestOfRecord(record any) string {
	data, err := json.Marshal(record)
	if err != nil {
		return "" // not for what is stored, which is JSON too
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// digestOfKey returns the digest of a key without what belongs to its secret.
func digestOfKey(k tenant.Key) string {
	k.Hash = nil
	return digestOfRecord(k)
}
