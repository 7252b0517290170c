package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// uploadKey is what a second Begin finds an unfinished upload by.
type uploadKey struct {
	owner      tenant.ID
	kind, name string
	digest     Digest
	size       int64
}

// uploadMeta is what uploads/<id>.json holds.
type uploadMeta struct {
	ID       string    `json:"id"`
	Owner    tenant.ID `json:"owner"`
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Digest   Digest    `json:"digest"`
	Finished bool      `json:"finished,omitempty"`
}

func (m uploadMeta) key() uploadKey {
	return uploadKey{owner: m.Owner, kind: m.Kind, name: m.Name, digest: m.Digest, size: m.Size}
}

func (m uploadMeta) params() UploadParams {
	return UploadParams{Owner: m.Owner, Kind: m.Kind, Name: m.Name, Size: m.Size, Digest: m.Digest}
}

// upload is one upload. meta is immutable but for Finished.
type upload struct {
	// mu guards the following and the upload's files.
	mu      sync.Mutex
	meta    uploadMeta
	touched time.Time
	// gone says that the upload was dropped, or never came to be.
	gone bool
	// stored says that the data has been renamed into place.
	stored bool
	offset int64
	// hash covers the first hashed bytes. After a restart it lags behind offset; Finish reads the rest.
	hash   hash.Hash
	hashed int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Begin implements [Uploader].
func (d *Dir) Begin(ctx context.Context, p UploadParams) (Upload, error) {
	if err := d.checkParams(p); err != nil {
		return Upload{}, err
	}
	for {
		if err := d.check(ctx); err != nil {
			return Upload{}, err
		}
		u, created, err := d.claim(p)
		if err != nil {
			return Upload{}, err
		}
		if created {
			return d.create(u)
		}
		if up, ok := d.resume(u); ok {
			return up, nil
		}
	}
}

func (d *Dir) checkParams(p UploadParams) error {
	if err := tenant.CheckID(p.Owner); err != nil {
		return err
	}
	for _, name := range []string{p.Kind, p.Name} {
		if err := tenant.CheckName(name); err != nil {
			return err
		}
	}
	if _, err := ParseDigest(string(p.Digest)); err != nil {
		return err
	}
	if p.Size < 1 {
		return fmt.Errorf("%w: upload of %d bytes", ErrInvalid, p.Size)
	}
	if p.Size > d.cfg.MaxBlobBytes {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, p.Size, d.cfg.MaxBlobBytes)
	}
	return nil
}

// claim returns the unfinished upload of p, or registers a new one and returns it locked.
func (d *Dir) claim(p UploadParams) (u *upload, created bool, err error) {
	meta := uploadMeta{
		ID: rand.Text(), Owner: p.Owner, Kind: p.Kind, Name: p.Name, Size: p.Size, Digest: p.Digest,
	}
	u = &upload{meta: meta, touched: d.cfg.Now(), hash: sha256.New()}
	u.mu.Lock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.byKey[meta.key()]; u != nil {
		return u, false, nil
	}
	if o := d.owners[p.Owner]; o != nil && len(o.open) >= d.cfg.MaxUploads {
		return nil, false, fmt.Errorf("%w: %d", ErrTooManyUploads, d.cfg.MaxUploads)
	}
	d.registerLocked(u)
	return u, true, nil
}

// create writes the files of a new upload, which comes locked.
func (d *Dir) create(u *upload) (Upload, error) {
	defer u.mu.Unlock()
	if err := d.writeNew(u.meta); err != nil {
		d.dropLocked(u)
		return Upload{}, fmt.Errorf("begin upload: %w", noSpace(err))
	}
	return d.view(u), nil
}

func (d *Dir) writeNew(meta uploadMeta) error {
	if err := d.checkFree(meta.Size); err != nil {
		return err
	}
	f, err := d.fs.OpenFile(d.dataPath(meta.ID), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return d.writeMeta(meta)
}

// resume returns how u stands, or false when it has gone meanwhile.
func (d *Dir) resume(u *upload) (Upload, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone || u.meta.Finished {
		return Upload{}, false
	}
	u.touched = d.cfg.Now()
	return d.view(u), true
}

func (d *Dir) view(u *upload) Upload {
	return Upload{ID: u.meta.ID, Offset: u.offset, Size: u.meta.Size, MaxChunk: d.cfg.MaxChunkBytes}
}

// Append implements [Uploader].
func (d *Dir) Append(ctx context.Context, owner tenant.ID, id string, offset int64, data []byte, crc uint32) (int64, error) {
	u, err := d.find(ctx, owner, id)
	if err != nil {
		return 0, err
	}
	defer u.mu.Unlock()
	if offset != u.offset {
		return u.offset, &OffsetError{Offset: offset, Committed: u.offset}
	}
	if len(data) > d.cfg.MaxChunkBytes || int64(len(data)) > u.meta.Size-u.offset {
		return u.offset, fmt.Errorf("%w: chunk of %d bytes, at most %d and not past %d",
			ErrTooLarge, len(data), d.cfg.MaxChunkBytes, u.meta.Size)
	}
	if crc32.Checksum(data, castagnoli) != crc {
		return u.offset, ErrChecksum
	}
	if err := d.write(u, data); err != nil {
		return u.offset, fmt.Errorf("write chunk: %w", noSpace(err))
	}
	return u.offset, nil
}

// write adds data to a locked upload, or leaves it as it was.
func (d *Dir) write(u *upload, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if err := d.checkFree(int64(len(data))); err != nil {
		return err
	}
	f, err := d.fs.OpenFile(d.dataPath(u.meta.ID), os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, u.offset)
	if err != nil {
		// What was written of the chunk is overwritten by the next try; cutting it off only gives its space back.
		_ = f.Truncate(u.offset)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if u.hashed == u.offset {
		_, _ = u.hash.Write(data) // a hash never fails
		u.hashed += int64(len(data))
	}
	u.offset += int64(len(data))
	return nil
}

// Finish implements [Uploader].
func (d *Dir) Finish(ctx context.Context, owner tenant.ID, id string) (Digest, error) {
	u, err := d.find(ctx, owner, id)
	if err != nil {
		return "", err
	}
	defer u.mu.Unlock()
	if u.meta.Finished {
		return u.meta.Digest, d.stillStored(ctx, u)
	}
	if u.offset != u.meta.Size {
		return "", fmt.Errorf("%w: %d of %d bytes", ErrIncomplete, u.offset, u.meta.Size)
	}
	if err := d.store(ctx, u); err != nil {
		return "", fmt.Errorf("finish upload: %w", noSpace(err))
	}
	u.meta.Finished = true
	d.retire(u)
	// A lost flag only means that the owner of a lost answer uploads again after a restart.
	_ = d.writeMeta(u.meta)
	return u.meta.Digest, nil
}

// store makes a complete, locked upload a blob.
func (d *Dir) store(ctx context.Context, u *upload) error {
	if !u.stored {
		if err := d.verify(ctx, u); err != nil {
			return err
		}
		if err := d.moveIn(u); err != nil {
			return err
		}
		u.stored = true
	}
	return d.fs.SyncDir(d.blobDir())
}

// verify checks the digest and syncs the data.
func (d *Dir) verify(ctx context.Context, u *upload) error {
	f, err := d.fs.OpenFile(d.dataPath(u.meta.ID), os.O_RDWR)
	if err != nil {
		return err
	}
	err = d.verifyFile(ctx, u, f)
	return errors.Join(err, f.Close())
}

func (d *Dir) verifyFile(ctx context.Context, u *upload, f File) error {
	if err := u.hashRest(ctx, f); err != nil {
		return err
	}
	if got := digestOf(u.hash.Sum(nil)); u.hashed != u.meta.Size || got != u.meta.Digest {
		d.dropLocked(u)
		return fmt.Errorf("%w: announced %s, got %s", ErrDigest, u.meta.Digest, got)
	}
	if err := f.Sync(); err != nil {
		// After a failed sync nobody knows which bytes are on the disk, and a second sync may succeed all the same, so all
		// of them are wanted again.
		return errors.Join(err, d.restart(u, f))
	}
	return nil
}

// hashRest hashes what was written by a process before this one.
func (u *upload) hashRest(ctx context.Context, f File) error {
	const piece = 4 << 20 // the context is looked at this often
	for u.hashed < u.offset {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.Copy(u.hash, io.NewSectionReader(f, u.hashed, min(piece, u.offset-u.hashed)))
		u.hashed += n
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// restart empties a locked upload, or drops it when that fails.
func (d *Dir) restart(u *upload, f File) error {
	if err := f.Truncate(0); err != nil {
		d.dropLocked(u)
		return err
	}
	u.offset, u.hashed = 0, 0
	u.hash.Reset()
	return nil
}

func (d *Dir) moveIn(u *upload) error {
	d.commit.Lock()
	defer d.commit.Unlock()
	if err := d.fs.Chtimes(d.dataPath(u.meta.ID), d.cfg.Now()); err != nil {
		return err
	}
	return d.fs.Rename(d.dataPath(u.meta.ID), d.blobPath(u.meta.Digest))
}

func (d *Dir) stillStored(ctx context.Context, u *upload) error {
	if _, err := d.Stat(ctx, u.meta.Digest); err != nil {
		return fmt.Errorf("finished upload: %w", err)
	}
	return nil
}

// Abort implements [Uploader].
func (d *Dir) Abort(ctx context.Context, owner tenant.ID, id string) error {
	u, err := d.find(ctx, owner, id)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	d.dropLocked(u)
	return nil
}

// AbortAll implements [Uploader].
func (d *Dir) AbortAll(ctx context.Context, owner tenant.ID) error {
	if err := d.check(ctx); err != nil {
		return err
	}
	for _, u := range d.uploads() {
		if u.meta.Owner != owner {
			continue
		}
		u.mu.Lock()
		if !u.gone {
			d.dropLocked(u)
		}
		u.mu.Unlock()
	}
	return nil
}

// Held implements [Uploader].
func (d *Dir) Held(owner tenant.ID) []Unfinished {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.owners[owner]
	if o == nil {
		return nil
	}
	us := make([]Unfinished, 0, len(o.open))
	for id := range o.open {
		us = append(us, Unfinished{ID: id, UploadParams: d.byID[id].meta.params()})
	}
	return us
}

// find returns the owner's upload, locked.
func (d *Dir) find(ctx context.Context, owner tenant.ID, id string) (*upload, error) {
	if err := d.check(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	u := d.byID[id]
	d.mu.Unlock()
	if u == nil || u.meta.Owner != owner {
		return nil, fmt.Errorf("upload: %w", ErrNotFound)
	}
	u.mu.Lock()
	if u.gone {
		u.mu.Unlock()
		return nil, fmt.Errorf("upload: %w", ErrNotFound)
	}
	u.touched = d.cfg.Now()
	return u, nil
}

func (d *Dir) checkFree(n int64) error {
	free, err := d.fs.Free(d.uploadDir())
	if err != nil {
		return err
	}
	if free-max(d.cfg.ReserveBytes, 0) < n {
		return fmt.Errorf("%w: %d bytes wanted, %d free, %d reserved", ErrNoSpace, n, free, max(d.cfg.ReserveBytes, 0))
	}
	return nil
}

// noSpace turns what a full disk or quota answers into [ErrNoSpace].
func noSpace(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
