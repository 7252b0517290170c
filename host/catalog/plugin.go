package catalog

import (
	"context"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PutPlugin stores a version of a plugin and returns it. When the newest version has the same digest, that one is returned and
// nothing changes. Errors: [ErrInvalid], tenant.ErrName, [ErrLimit], [ErrConflict].
func (c *Catalog) PutPlugin(ctx context.Context, t tenant.ID, p PluginParams) (Plugin, error) {
	f, err := c.putVersion(ctx, KindPlugin, t, versionParams{
		name: p.Name, digest: p.Digest, size: p.Size, doc: p.Description, meta: p.Meta,
	})
	return f.plugin(), err
}

// GetPlugin returns the version that ref names: "" or "@latest" the newest, "@3" a version, "@prod" a tag, "@sha256:…" the
// newest with that digest. The "@" may be left out. It returns [ErrNotFound], [ErrInvalid] or tenant.ErrName.
func (c *Catalog) GetPlugin(ctx context.Context, t tenant.ID, name, ref string) (Plugin, error) {
	f, err := c.getVersion(ctx, KindPlugin, t, name, ref)
	return f.plugin(), err
}

// ListPlugins returns the newest version of every plugin, sorted by name, and a token for more, "" when there are none.
func (c *Catalog) ListPlugins(ctx context.Context, t tenant.ID, page Page) ([]Plugin, string, error) {
	fs, more, err := c.listNewest(ctx, KindPlugin, t, page)
	return plugins(fs), more, err
}

// PluginVersions returns all versions of a plugin, newest first, or [ErrNotFound].
func (c *Catalog) PluginVersions(ctx context.Context, t tenant.ID, name string) ([]Plugin, error) {
	fs, err := c.listVersions(ctx, KindPlugin, t, name)
	return plugins(fs), err
}

// DeletePlugin removes the version that ref names and its tags, or with ref "" the whole plugin. It returns an [*InUseError]
// when a live graph release pins what is to go, and [ErrConflict] when one that does is being published.
func (c *Catalog) DeletePlugin(ctx context.Context, t tenant.ID, name, ref string) (Removed, error) {
	return c.deleteVersion(ctx, KindPlugin, t, name, ref)
}

func (f found) plugin() Plugin { return Plugin{Object: f.Object, Description: f.doc} }

func plugins(fs []found) []Plugin {
	vs := make([]Plugin, len(fs))
	for i, f := range fs {
		vs[i] = f.plugin()
	}
	return vs
}
