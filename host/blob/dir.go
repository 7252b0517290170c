package blob

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Config configures a [Dir].
type Config struct {
	// Dir is the folder; it is made when absent. Only one Dir at a time may have it.
	Dir string
	// MaxBlobBytes is the largest blob. Default 8 GiB.
	MaxBlobBytes int64
	// MaxChunkBytes is the largest chunk. Default 2 MiB.
	MaxChunkBytes int
	// MaxUploads is the number of unfinished uploads that one owner may have. Default 16.
	MaxUploads int
	// ReserveBytes is the free space that uploads leave on the disk. Default 64 MiB; negative is none.
	ReserveBytes int64
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Dir keeps blobs and uploads in a folder.
type Dir struct{}

var (
	_ Store    = (*Dir)(nil)
	_ Uploader = (*Dir)(nil)
)

// OpenDir opens the folder and takes up the uploads that it finds in it.
func OpenDir(ctx context.Context, cfg Config) (*Dir, error) { return nil, errors.ErrUnsupported }

// Close gives the folder back. Open blobs stay open.
func (d *Dir) Close() error { return nil }

// Open implements [Store].
func (d *Dir) Open(ctx context.Context, digest Digest) (*Blob, error) {
	return nil, errors.ErrUnsupported
}

// Stat implements [Store].
func (d *Dir) Stat(ctx context.Context, digest Digest) (Info, error) {
	return Info{}, errors.ErrUnsupported
}

// Delete implements [Store].
func (d *Dir) Delete(ctx context.Context, digest Digest, before time.Time) (bool, error) {
	return false, errors.ErrUnsupported
}

// All implements [Store].
func (d *Dir) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(func(Info, error) bool) {}
}

// Begin implements [Uploader].
func (d *Dir) Begin(ctx context.Context, p UploadParams) (Upload, error) {
	return Upload{}, errors.ErrUnsupported
}

// Append implements [Uploader].
func (d *Dir) Append(ctx context.Context, owner tenant.ID, id string, offset int64, data []byte, crc uint32) (int64, error) {
	return 0, errors.ErrUnsupported
}

// Finish implements [Uploader].
func (d *Dir) Finish(ctx context.Context, owner tenant.ID, id string) (Digest, error) {
	return "", errors.ErrUnsupported
}

// Abort implements [Uploader].
func (d *Dir) Abort(ctx context.Context, owner tenant.ID, id string) error {
	return errors.ErrUnsupported
}

// Sweep implements [Uploader].
func (d *Dir) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	return 0, errors.ErrUnsupported
}
