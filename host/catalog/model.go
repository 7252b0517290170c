package catalog

import (
	"context"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PutModel stores a version of a model and returns it. When the newest version has the same digest and options, that one is returned
// and nothing changes. Errors: [ErrInvalid], tenant.ErrName, [ErrLimit], [ErrConflict].
func (c *Catalog) PutModel(ctx context.Context, t tenant.ID, p ModelParams) (Model, error) {
	f, err := c.putVersion(ctx, KindModel, t, versionParams{
		name: p.Name, digest: p.Digest, size: p.Size, doc: p.Signature, options: p.Options, meta: p.Meta,
	})
	return f.model(), err
}

// GetModel returns the version that ref names: "" or "@latest" the newest, "@3" a version, "@prod" a tag, "@sha256:…" the
// newest with that digest. The "@" may be left out. It returns [ErrNotFound], [ErrInvalid] or tenant.ErrName.
func (c *Catalog) GetModel(ctx context.Context, t tenant.ID, name, ref string) (Model, error) {
	f, err := c.getVersion(ctx, KindModel, t, name, ref)
	return f.model(), err
}

// ListModels returns the newest version of every model, sorted by name, and a token for more, "" when there are none.
func (c *Catalog) ListModels(ctx context.Context, t tenant.ID, page Page) ([]Model, string, error) {
	fs, more, err := c.listNewest(ctx, KindModel, t, page)
	return models(fs), more, err
}

// ModelVersions returns all versions of a model, newest first, or [ErrNotFound].
func (c *Catalog) ModelVersions(ctx context.Context, t tenant.ID, name string) ([]Model, error) {
	fs, err := c.listVersions(ctx, KindModel, t, name)
	return models(fs), err
}

// DeleteModel removes the version that ref names and its tags, or with ref "" the whole model. It returns an [*InUseError]
// when a live graph release pins what is to go, and [ErrConflict] when one that does is being published.
func (c *Catalog) DeleteModel(ctx context.Context, t tenant.ID, name, ref string) (Removed, error) {
	return c.deleteVersion(ctx, KindModel, t, name, ref)
}

func (f found) model() Model { return Model{Object: f.Object, Signature: f.doc, Options: f.options} }

func models(fs []found) []Model {
	vs := make([]Model, len(fs))
	for i, f := range fs {
		vs[i] = f.model()
	}
	return vs
}
