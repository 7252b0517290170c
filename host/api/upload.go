package api

import (
	"context"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// begin starts or finds an upload of one kind.
func (h *handler) begin(ctx context.Context, kind, name, digest string, size int64) (blob.Upload, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return blob.Upload{}, err
	}
	d, err := blob.ParseDigest(digest)
	if err != nil {
		return blob.Upload{}, err
	}
	return h.cfg.Control.BeginUpload(ctx, blob.UploadParams{Owner: t, Kind: kind, Name: name, Size: size, Digest: d})
}

// put appends a chunk and returns the committed offset.
func (h *handler) put(ctx context.Context, id string, offset int64, data []byte, crc uint32) (int64, error) {
	t, err := h.caller(ctx)
	if err != nil {
		return 0, err
	}
	if err := h.cfg.Door.Upload(t, len(data)); err != nil {
		return 0, err
	}
	return h.cfg.Uploads.Append(ctx, t, id, offset, data, crc)
}

// uploadBefore returns the digest of what the name of an upload means before it is finished, "" for nothing.
func (h *handler) uploadBefore(ctx context.Context, kind catalog.Kind, t tenant.ID, id string) string {
	p, err := h.cfg.Uploads.Params(ctx, t, id)
	if err != nil {
		return ""
	}
	return h.digestOf(ctx, kind, t, p.Name)
}
