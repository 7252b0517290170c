package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
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
	// FS is the seam for tests that inject faults. Default [OS].
	FS FS
}

func (c Config) withDefaults() Config {
	if c.MaxBlobBytes == 0 {
		c.MaxBlobBytes = 8 << 30
	}
	if c.MaxChunkBytes == 0 {
		c.MaxChunkBytes = 2 << 20
	}
	if c.MaxUploads == 0 {
		c.MaxUploads = 16
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = 64 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.FS == nil {
		c.FS = OS()
	}
	return c
}

// Validate returns every fault of c at once.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("blob: Dir is empty"))
	}
	if c.MaxBlobBytes < 0 || c.MaxChunkBytes < 0 || c.MaxUploads < 0 {
		errs = append(errs, errors.New("blob: a limit is negative"))
	}
	return errors.Join(errs...)
}

// Dir keeps blobs and uploads in a folder:
//
//	lock                    held while a Dir has the folder
//	blobs/sha256/<hex>      one file per blob
//	uploads/<id>.json       what an upload is to become
//	uploads/<id>.data       its bytes so far
type Dir struct {
	cfg  Config
	fs   FS
	lock File

	// commit keeps Delete from removing a blob that Finish has just stored again.
	commit sync.Mutex

	// mu guards the following.
	mu     sync.Mutex
	closed bool
	byID   map[string]*upload
	byKey  map[uploadKey]*upload
	owners map[tenant.ID]*ownerUploads
}

var (
	_ Store    = (*Dir)(nil)
	_ Uploader = (*Dir)(nil)
)

// OpenDir opens the folder and takes up the uploads that it finds in it.
func OpenDir(ctx context.Context, cfg Config) (*Dir, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	d := &Dir{
		cfg: cfg, fs: cfg.FS, byID: make(map[string]*upload), byKey: make(map[uploadKey]*upload),
		owners: make(map[tenant.ID]*ownerUploads),
	}
	if err := d.prepare(); err != nil {
		return nil, fmt.Errorf("open blob folder: %w", err)
	}
	if err := d.loadUploads(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("take up uploads: %w", err), d.lock.Close())
	}
	return d, nil
}

// prepare makes the folders, durably, and takes the lock.
func (d *Dir) prepare() error {
	for _, dir := range []string{d.blobDir(), d.uploadDir()} {
		if err := d.fs.MkdirAll(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{filepath.Dir(d.blobDir()), d.cfg.Dir} {
		if err := d.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	lock, err := d.fs.OpenFile(filepath.Join(d.cfg.Dir, "lock"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := lockFile(lock); err != nil {
		return errors.Join(fmt.Errorf("another process has %s: %w", d.cfg.Dir, err), lock.Close())
	}
	d.lock = lock
	return nil
}

// Close gives the folder back. Open blobs stay open, unfinished uploads stay on the disk.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.lock.Close()
}

// Open implements [Store].
func (d *Dir) Open(ctx context.Context, digest Digest) (*Blob, error) {
	f, info, err := d.openBlob(ctx, digest)
	if err != nil {
		return nil, err
	}
	data, unmap, err := mapFile(f, info.Size)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("open blob %s: %w", digest, err)
	}
	return &Blob{digest: digest, data: data, unmap: unmap}, nil
}

// Stat implements [Store].
func (d *Dir) Stat(ctx context.Context, digest Digest) (Info, error) {
	f, info, err := d.openBlob(ctx, digest)
	if err != nil {
		return Info{}, err
	}
	return info, f.Close()
}

// Delete implements [Store].
func (d *Dir) Delete(ctx context.Context, digest Digest, before time.Time) (bool, error) {
	d.commit.Lock()
	defer d.commit.Unlock()
	info, err := d.Stat(ctx, digest)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil || !info.StoredAt.Before(before) {
		return false, err
	}
	if err := d.fs.Remove(d.blobPath(digest)); err != nil {
		return false, fmt.Errorf("delete blob %s: %w", digest, err)
	}
	return true, nil
}

// All implements [Store]. Files that are not named by a digest are not ours and are left alone.
func (d *Dir) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		entries, err := d.fs.ReadDir(d.blobDir())
		if err != nil {
			yield(Info{}, fmt.Errorf("list blobs: %w", err))
			return
		}
		for _, e := range entries {
			digest := Digest(digestPrefix + e.Name())
			if !digest.Valid() {
				continue
			}
			info, err := d.Stat(ctx, digest)
			if errors.Is(err, ErrNotFound) {
				continue // deleted meanwhile
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// openBlob returns the open file of a blob, which the caller closes.
func (d *Dir) openBlob(ctx context.Context, digest Digest) (File, Info, error) {
	if err := d.check(ctx); err != nil {
		return nil, Info{}, err
	}
	if !digest.Valid() {
		return nil, Info{}, fmt.Errorf("%w: digest %q", ErrInvalid, digest)
	}
	f, err := d.fs.OpenFile(d.blobPath(digest), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Info{}, fmt.Errorf("blob %s: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, Info{}, fmt.Errorf("open blob %s: %w", digest, err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, Info{}, errors.Join(fmt.Errorf("open blob %s: %w", digest, err), f.Close())
	}
	return f, Info{Digest: digest, Size: st.Size(), StoredAt: st.ModTime()}, nil
}

func (d *Dir) check(ctx context.Context) error {
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return ErrClosed
	}
	return ctx.Err()
}

func (d *Dir) blobDir() string               { return filepath.Join(d.cfg.Dir, "blobs", "sha256") }
func (d *Dir) uploadDir() string             { return filepath.Join(d.cfg.Dir, "uploads") }
func (d *Dir) blobPath(digest Digest) string { return filepath.Join(d.blobDir(), digest.Hex()) }
func (d *Dir) metaPath(id string) string     { return filepath.Join(d.uploadDir(), id+".json") }
func (d *Dir) dataPath(id string) string     { return filepath.Join(d.uploadDir(), id+".data") }
