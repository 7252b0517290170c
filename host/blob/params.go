package blob

import (
	"context"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Params implements [Uploader].
func (d *Dir) Params(ctx context.Context, owner tenant.ID, id string) (UploadParams, error) {
	u, err := d.find(ctx, owner, id)
	if err != nil {
		return UploadParams{}, err
	}
	defer u.mu.Unlock()
	return u.meta.params(), nil
}
