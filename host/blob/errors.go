package blob

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that there is no such blob, or no such upload of this owner.
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that an argument is malformed.
	ErrInvalid = errors.New("invalid argument")
	// ErrTooLarge says that a blob or a chunk is over its limit.
	ErrTooLarge = errors.New("too large")
	// ErrTooManyUploads says that the owner has as many unfinished uploads as it may.
	ErrTooManyUploads = errors.New("too many unfinished uploads")
	// ErrChecksum says that a chunk does not have the CRC it was sent with. The upload is unchanged: send it again.
	ErrChecksum = errors.New("chunk checksum mismatch")
	// ErrDigest says that the content does not have the digest it was announced with. The upload is gone.
	ErrDigest = errors.New("digest mismatch")
	// ErrIncomplete says that an upload was finished before all its bytes were there. It can be resumed.
	ErrIncomplete = errors.New("upload is incomplete")
	// ErrNoSpace says that the disk or its quota is full. The upload can be resumed once there is room.
	ErrNoSpace = errors.New("no space left for blobs")
	// ErrClosed says that the store is closed.
	ErrClosed = errors.New("blob store is closed")
)

// OffsetError says that a chunk did not start where the upload ends. Continue at Committed.
type OffsetError struct {
	// Offset is what was sent, Committed what is there, both in bytes.
	Offset, Committed int64
}

// Error implements error.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("chunk at offset %d, but %d bytes are committed", e.Offset, e.Committed)
}
