package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Limits of what an owner attaches to a version.
const (
	maxMeta      = 64
	maxMetaBytes = 16 << 10
)

// found is a version together with what it was found in.
type found struct {
	Object
	doc     json.RawMessage
	options json.RawMessage
}

// versionParams is a [ModelParams] or [PluginParams].
type versionParams struct {
	name   string
	digest blob.Digest
	size   int64
	doc    json.RawMessage
	meta   map[string]string

	options json.RawMessage
}

func (p versionParams) validate() error {
	if _, err := blob.ParseDigest(string(p.digest)); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if p.size < 1 {
		return fmt.Errorf("%w: size %d", ErrInvalid, p.size)
	}
	if len(p.doc) > 0 && !json.Valid(p.doc) {
		return fmt.Errorf("%w: the description is no JSON", ErrInvalid)
	}
	if len(p.options) > maxMetaBytes || len(p.options) > 0 && !json.Valid(p.options) {
		return fmt.Errorf("%w: the options are no JSON of at most %d bytes", ErrInvalid, maxMetaBytes)
	}
	total := 0
	for k, v := range p.meta {
		total += len(k) + len(v)
	}
	if len(p.meta) > maxMeta || total > maxMetaBytes {
		return fmt.Errorf("%w: %d labels of %d bytes, at most %d of %d", ErrLimit, len(p.meta), total, maxMeta, maxMetaBytes)
	}
	return nil
}

func (c *Catalog) putVersion(ctx context.Context, kind Kind, t tenant.ID, p versionParams) (found, error) {
	key, err := objectKey(kind, t, p.name)
	if err != nil {
		return found{}, err
	}
	if err := p.validate(); err != nil {
		return found{}, err
	}
	v := version{Digest: p.digest, Size: p.size, CreatedAt: c.cfg.Now().UTC(), Meta: p.meta, Doc: p.doc, Options: p.options}
	a, _, err := update(ctx, c.bucket, key, func(a *aggregate) error {
		if newest := a.newest(); newest != nil && newest.Digest == p.digest && bytes.Equal(newest.Options, p.options) {
			return errUnchanged
		}
		return a.add(v)
	})
	if err != nil {
		return found{}, fmt.Errorf("put %s %s: %w", kind, p.name, err)
	}
	return a.found(t, p.name, a.newest()), nil
}

func (a *aggregate) found(t tenant.ID, name string, v *version) found {
	return found{Object: a.object(t, name, v), doc: v.Doc, options: v.Options}
}

func (c *Catalog) getVersion(ctx context.Context, kind Kind, t tenant.ID, name, ref string) (found, error) {
	key, err := objectKey(kind, t, name)
	if err != nil {
		return found{}, err
	}
	r, err := parseRef(ref)
	if err != nil {
		return found{}, err
	}
	a, _, err := get[aggregate](ctx, c.bucket, key)
	var v *version
	if err == nil {
		v, err = a.find(r)
	}
	if err != nil {
		return found{}, fmt.Errorf("%s %s%s: %w", kind, name, at(ref), err)
	}
	return a.found(t, name, v), nil
}

func (c *Catalog) listVersions(ctx context.Context, kind Kind, t tenant.ID, name string) ([]found, error) {
	key, err := objectKey(kind, t, name)
	if err != nil {
		return nil, err
	}
	a, _, err := get[aggregate](ctx, c.bucket, key)
	if err == nil && len(a.Versions) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	fs := make([]found, 0, len(a.Versions))
	for i := range slices.Backward(a.Versions) {
		fs = append(fs, a.found(t, name, &a.Versions[i]))
	}
	return fs, nil
}

func (c *Catalog) listNewest(ctx context.Context, kind Kind, t tenant.ID, page Page) ([]found, string, error) {
	return list(ctx, c.bucket, kind, t, page, func(name string, a aggregate) (found, bool) {
		newest := a.newest()
		if newest == nil {
			return found{}, false
		}
		return a.found(t, name, newest), true
	})
}

// deleteVersion removes the version that ref names, or with "" all; see lease for why it is safe.
func (c *Catalog) deleteVersion(ctx context.Context, kind Kind, t tenant.ID, name, ref string) (Removed, error) {
	key, err := objectKey(kind, t, name)
	if err != nil {
		return Removed{}, err
	}
	r, err := parseRef(ref)
	if err != nil {
		return Removed{}, err
	}
	var removed Removed
	_, _, err = update(ctx, c.bucket, key, func(a *aggregate) error {
		v, err := a.find(r)
		if err != nil {
			return err
		}
		number := 0
		if ref != "" {
			number = v.Version
		}
		if a.Leases.held(c.cfg.Now()) {
			return errBusy
		}
		if err := c.checkUnused(ctx, kind, t, name, number); err != nil {
			return err
		}
		removed = a.removeVersion(number)
		return nil
	})
	if _, ok := errors.AsType[*InUseError](err); ok {
		return Removed{}, err
	}
	if err != nil {
		return Removed{}, fmt.Errorf("delete %s %s%s: %w", kind, name, at(ref), err)
	}
	return removed, nil
}

// at returns ref as it is written behind a name.
func at(ref string) string {
	if ref == "" || ref[0] == '@' {
		return ref
	}
	return "@" + ref
}
