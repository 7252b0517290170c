package catalog

import (
	"context"
	"errors"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PutModel stores a version of a model and returns it. When the newest version has the same digest, that one is returned and
// nothing changes. Errors: [ErrInvalid], tenant.ErrName, [ErrLimit], [ErrConflict].
func (c *Catalog) PutModel(ctx context.Context, t tenant.ID, p ModelParams) (Model, error) {
	return Model{}, errors.ErrUnsupported
}

// GetModel returns the version that ref names: "" or "@latest" the newest, "@3" a version, "@prod" a tag, "@sha256:…" the
// newest with that digest. The "@" may be left out. It returns [ErrNotFound] or [ErrInvalid].
func (c *Catalog) GetModel(ctx context.Context, t tenant.ID, name, ref string) (Model, error) {
	return Model{}, errors.ErrUnsupported
}

// ListModels returns the newest version of every model, sorted by name, and a token for more, "" when there are none.
func (c *Catalog) ListModels(ctx context.Context, t tenant.ID, page Page) ([]Model, string, error) {
	return nil, "", errors.ErrUnsupported
}

// ModelVersions returns all versions of a model, newest first, or [ErrNotFound].
func (c *Catalog) ModelVersions(ctx context.Context, t tenant.ID, name string) ([]Model, error) {
	return nil, errors.ErrUnsupported
}

// TagModel makes tag point to a version, moving it if it exists.
func (c *Catalog) TagModel(ctx context.Context, t tenant.ID, name, tag string, version int) error {
	return errors.ErrUnsupported
}

// UntagModel removes a tag, or returns [ErrNotFound].
func (c *Catalog) UntagModel(ctx context.Context, t tenant.ID, name, tag string) error {
	return errors.ErrUnsupported
}

// DeleteModel removes the version that ref names and its tags, or with ref "" the whole model. It returns an [*InUseError]
// when a current graph release pins what is to go, and [ErrConflict] when one that does is being published.
func (c *Catalog) DeleteModel(ctx context.Context, t tenant.ID, name, ref string) error {
	return errors.ErrUnsupported
}
