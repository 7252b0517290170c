package catalog

import (
	"context"
	"errors"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PutPlugin stores a version of a plugin and returns it. When the newest version has the same digest, that one is returned and
// nothing changes. Errors: [ErrInvalid], tenant.ErrName, [ErrLimit], [ErrConflict].
func (c *Catalog) PutPlugin(ctx context.Context, t tenant.ID, p PluginParams) (Plugin, error) {
	return Plugin{}, errors.ErrUnsupported
}

// GetPlugin returns the version that ref names: "" or "@latest" the newest, "@3" a version, "@prod" a tag, "@sha256:…" the
// newest with that digest. The "@" may be left out. It returns [ErrNotFound] or [ErrInvalid].
func (c *Catalog) GetPlugin(ctx context.Context, t tenant.ID, name, ref string) (Plugin, error) {
	return Plugin{}, errors.ErrUnsupported
}

// ListPlugins returns the newest version of every plugin, sorted by name, and a token for more, "" when there are none.
func (c *Catalog) ListPlugins(ctx context.Context, t tenant.ID, page Page) ([]Plugin, string, error) {
	return nil, "", errors.ErrUnsupported
}

// PluginVersions returns all versions of a plugin, newest first, or [ErrNotFound].
func (c *Catalog) PluginVersions(ctx context.Context, t tenant.ID, name string) ([]Plugin, error) {
	return nil, errors.ErrUnsupported
}

// TagPlugin makes tag point to a version, moving it if it exists.
func (c *Catalog) TagPlugin(ctx context.Context, t tenant.ID, name, tag string, version int) error {
	return errors.ErrUnsupported
}

// UntagPlugin removes a tag, or returns [ErrNotFound].
func (c *Catalog) UntagPlugin(ctx context.Context, t tenant.ID, name, tag string) error {
	return errors.ErrUnsupported
}

// DeletePlugin removes the version that ref names and its tags, or with ref "" the whole plugin. It returns an [*InUseError]
// when a current graph release pins what is to go, and [ErrConflict] when one that does is being published.
func (c *Catalog) DeletePlugin(ctx context.Context, t tenant.ID, name, ref string) error {
	return errors.ErrUnsupported
}
