package catalog

import (
	"context"
	"errors"

	"github.com/tandem-serve/tandem/host/tenant"
)

// PublishGraph stores a release and makes it the current one, atomically: others see the one before or this one. When
// the current release has the same digest, that one is returned and nothing changes. A pin whose version is gone or has
// another digest is [ErrNotFound]; one that is being deleted is gone.
func (c *Catalog) PublishGraph(ctx context.Context, t tenant.ID, p ReleaseParams) (Release, error) {
	return Release{}, errors.ErrUnsupported
}

// GetGraph returns the release that ref names: "" the current one, "@latest" the newest, "@3" a version, "@sha256:…" the
// newest with that digest. The "@" may be left out. It returns [ErrNotFound] or [ErrInvalid].
func (c *Catalog) GetGraph(ctx context.Context, t tenant.ID, name, ref string) (Release, error) {
	return Release{}, errors.ErrUnsupported
}

// ListGraphs returns the current release of every graph, sorted by name, and a token for more, "" when there are none.
// Documents are left out.
func (c *Catalog) ListGraphs(ctx context.Context, t tenant.ID, page Page) ([]Release, string, error) {
	return nil, "", errors.ErrUnsupported
}

// GraphReleases returns the releases of a graph that are kept, newest first, without documents and pins.
func (c *Catalog) GraphReleases(ctx context.Context, t tenant.ID, name string) ([]Release, error) {
	return nil, errors.ErrUnsupported
}

// ActivateGraph makes an earlier release the current one again: a roll-back. Everything it pins must still be there.
func (c *Catalog) ActivateGraph(ctx context.Context, t tenant.ID, name string, version int) (Release, error) {
	return Release{}, errors.ErrUnsupported
}

// DeleteGraph removes a graph and its releases. It returns an [*InUseError] when another graph's current release pins
// it.
func (c *Catalog) DeleteGraph(ctx context.Context, t tenant.ID, name string) error {
	return errors.ErrUnsupported
}
