// Package blob owns the bytes of models and plugins: blobs named by their SHA-256 and the resumable uploads that make
// them.
//
// [Store] is what readers and the garbage collector need, [Uploader] what uploads need; [Dir] is both, over a folder. A
// blob becomes visible whole or not at all: its bytes are synced, then renamed into place, then the folder is synced, so
// a crash at any moment leaves either nothing or the whole blob.
//
// The package starts no goroutines. Lock order: an upload's lock, then Dir.commit, then Dir.mu.
package blob

import (
	"fmt"
	"io"
	"sync"

	"github.com/tandem-serve/tandem/internal/pieces"
)

// Blob is an open blob. Its methods may overlap, but Close must come last: the memory that Bytes returned is unmapped
// by it, and touching it afterwards ends the process.
type Blob struct {
	digest Digest
	data   []byte
	unmap  func() error
	once   sync.Once
	err    error
}

// Digest returns the blob's name.
func (b *Blob) Digest() Digest { return b.digest }

// Size returns the blob's length in bytes.
func (b *Blob) Size() int64 { return int64(len(b.data)) }

// Bytes returns the blob's content. It is mapped read-only where the platform can: writing to it ends the process. It
// stays valid until Close, also when the blob is deleted meanwhile.
func (b *Blob) Bytes() []byte { return b.data }

// Verify reads the whole blob and returns an error wrapping [ErrDigest] unless it still has the digest it is named by.
func (b *Blob) Verify() error {
	if got := pieces.SHA256(b.data); digestOf(got[:]) != b.digest {
		return fmt.Errorf("%w: stored blob %s hashes to %s", ErrDigest, b.digest, digestOf(got[:]))
	}
	return nil
}

// Close releases the memory. Further calls do nothing and return what the first one did.
func (b *Blob) Close() error {
	b.once.Do(func() { b.err = b.unmap() })
	return b.err
}

var _ io.Closer = (*Blob)(nil)
