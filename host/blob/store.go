package blob

import (
	"context"
	"iter"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Info describes a stored blob.
type Info struct {
	Digest Digest
	// Size is in bytes.
	Size int64
	// StoredAt is when an upload of this content finished last.
	StoredAt time.Time
}

// Store reads and deletes blobs. Its methods may overlap. It knows no tenants: callers reach a digest only through a
// record of the tenant that names it.
type Store interface {
	// Open returns the blob, which the caller closes, or [ErrNotFound].
	Open(ctx context.Context, d Digest) (*Blob, error)
	// Stat returns the blob's description, or [ErrNotFound].
	Stat(ctx context.Context, d Digest) (Info, error)
	// Delete removes the blob if its last upload finished before the given time, and reports whether it did; a younger or
	// absent blob is false and no error. Open blobs stay readable.
	Delete(ctx context.Context, d Digest, before time.Time) (bool, error)
	// All yields every blob, in no order. It ends after the first error it yields.
	All(ctx context.Context) iter.Seq2[Info, error]
}

// UploadParams announces an upload.
type UploadParams struct {
	Owner tenant.ID
	// Kind and Name say what the blob is to become, "model" and "ppocr-det". They only serve to find the upload again.
	Kind, Name string
	// Size is in bytes, at least 1.
	Size   int64
	Digest Digest
}

// Unfinished is an upload that has not become a blob: its ID and what it was announced as.
type Unfinished struct {
	ID string
	UploadParams
}

// Upload is an upload as it stands.
type Upload struct {
	// ID is unguessable and is known to its owner only.
	ID string
	// Offset is the number of bytes committed so far: the next chunk starts there.
	Offset int64
	// Size is the announced size, in bytes.
	Size int64
	// MaxChunk is the most bytes one Append takes.
	MaxChunk int
}

// Uploader takes blobs in pieces. Its methods may overlap; calls on one upload take turns. An upload that is another
// owner's is [ErrNotFound]. Nothing tells an owner whether the content is stored already: the bytes are always wanted.
type Uploader interface {
	// Begin starts an upload, or returns the unfinished one of the same owner, kind, name, digest and size.
	//
	// Its errors are [ErrInvalid], [ErrTooLarge], [ErrTooManyUploads] and [ErrNoSpace].
	Begin(ctx context.Context, p UploadParams) (Upload, error)
	// Append adds data, whose CRC-32C (Castagnoli) is crc, and returns the number of bytes committed, which is where the
	// next chunk starts. It keeps no reference to data. A wrong offset is an [*OffsetError], a wrong CRC [ErrChecksum], a
	// chunk over the limit or past the announced size [ErrTooLarge], a full disk [ErrNoSpace]; after each of them the upload
	// stands as before.
	Append(ctx context.Context, owner tenant.ID, id string, offset int64, data []byte, crc uint32) (int64, error)
	// Finish makes the upload a blob, durably, and returns its digest. Calling it again returns the same for a while. Too
	// few bytes are [ErrIncomplete]; other content than announced is [ErrDigest] and drops the upload.
	Finish(ctx context.Context, owner tenant.ID, id string) (Digest, error)
	// Params returns what the upload was announced as. An upload that was finished is known for a while longer.
	Params(ctx context.Context, owner tenant.ID, id string) (UploadParams, error)
	// Abort drops the upload.
	Abort(ctx context.Context, owner tenant.ID, id string) error
	// AbortAll drops all uploads of an owner.
	AbortAll(ctx context.Context, owner tenant.ID) error
	// Held returns an owner's unfinished uploads, in no order. The caller owns the slice.
	Held(owner tenant.ID) []Unfinished
	// Sweep drops uploads that saw no call for longer than olderThan and returns how many.
	Sweep(ctx context.Context, olderThan time.Duration) (int, error)
}

// Collect deletes every blob that no digest in keep names and whose last upload finished before the given time, and
// returns how many blobs and bytes that were. Read keep after choosing before: a blob that was stored in between is
// younger than before and stays.
func Collect(ctx context.Context, s Store, keep map[Digest]struct{}, before time.Time) (blobs int, bytes int64, err error) {
	for info, err := range s.All(ctx) {
		if err != nil {
			return blobs, bytes, err
		}
		if _, used := keep[info.Digest]; used {
			continue
		}
		gone, err := s.Delete(ctx, info.Digest, before)
		if err != nil {
			return blobs, bytes, err
		}
		if gone {
			blobs++
			bytes += info.Size
		}
	}
	return blobs, bytes, nil
}
