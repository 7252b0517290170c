package blob

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ownerUploads are the uploads of one owner.
type ownerUploads struct {
	open map[string]struct{}
	// finished holds the ids of the last finished ones, oldest first, so that a Finish whose answer was lost can be sent
	// again. It is as long as MaxUploads at most.
	finished []string
}

// registerLocked enters a new upload. d.mu is held.
func (d *Dir) registerLocked(u *upload) {
	o := d.owners[u.meta.Owner]
	if o == nil {
		o = &ownerUploads{open: make(map[string]struct{})}
		d.owners[u.meta.Owner] = o
	}
	d.byID[u.meta.ID] = u
	if u.meta.Finished {
		o.finished = append(o.finished, u.meta.ID)
		return
	}
	o.open[u.meta.ID] = struct{}{}
	d.byKey[u.meta.key()] = u
}

// retire moves a finished upload out of the way of new ones, and forgets the oldest finished one when there are many.
// u.mu is held.
func (d *Dir) retire(u *upload) {
	d.mu.Lock()
	o := d.owners[u.meta.Owner]
	delete(o.open, u.meta.ID)
	delete(d.byKey, u.meta.key())
	o.finished = append(o.finished, u.meta.ID)
	var oldest string
	if len(o.finished) > d.cfg.MaxUploads {
		oldest, o.finished = o.finished[0], slices.Delete(o.finished, 0, 1)
		delete(d.byID, oldest)
	}
	d.mu.Unlock()
	if oldest != "" {
		_ = d.fs.Remove(d.metaPath(oldest)) // what stays behind is swept
	}
}

// dropLocked forgets u and removes its files. u.mu is held. A file that cannot be removed goes at the next start.
func (d *Dir) dropLocked(u *upload) {
	u.gone = true
	d.mu.Lock()
	d.forgetLocked(u)
	d.mu.Unlock()
	_ = d.fs.Remove(d.metaPath(u.meta.ID))
	_ = d.fs.Remove(d.dataPath(u.meta.ID))
}

// forgetLocked takes u out of all maps. d.mu is held.
func (d *Dir) forgetLocked(u *upload) {
	delete(d.byID, u.meta.ID)
	if d.byKey[u.meta.key()] == u {
		delete(d.byKey, u.meta.key())
	}
	o := d.owners[u.meta.Owner]
	if o == nil {
		return
	}
	delete(o.open, u.meta.ID)
	o.finished = slices.DeleteFunc(o.finished, func(id string) bool { return id == u.meta.ID })
	if len(o.open) == 0 && len(o.finished) == 0 {
		delete(d.owners, u.meta.Owner)
	}
}

// Sweep implements [Uploader].
func (d *Dir) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	if err := d.check(ctx); err != nil {
		return 0, err
	}
	before := d.cfg.Now().Add(-olderThan)
	dropped := 0
	for _, u := range d.uploads() {
		if err := ctx.Err(); err != nil {
			return dropped, err
		}
		u.mu.Lock()
		if !u.gone && u.touched.Before(before) {
			if !u.meta.Finished {
				dropped++
			}
			d.dropLocked(u)
		}
		u.mu.Unlock()
	}
	return dropped, nil
}

func (d *Dir) uploads() []*upload {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.byID))
}

// writeMeta writes uploads/<id>.json whole. It is not synced: what a power failure takes of it, the start finds out.
func (d *Dir) writeMeta(meta uploadMeta) error {
	doc, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	path := d.metaPath(meta.ID)
	f, err := d.fs.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(doc, 0)
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.fs.Rename(path+".tmp", path)
	}
	if err != nil {
		_ = d.fs.Remove(path + ".tmp")
	}
	return err
}

// loadUploads takes up what a process before left, and removes what is of no use.
func (d *Dir) loadUploads(ctx context.Context) error {
	entries, err := d.fs.ReadDir(d.uploadDir())
	if err != nil {
		return err
	}
	kept := make(map[string]bool)
	var us []*upload
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if u := d.loadUpload(id); u != nil {
			kept[id] = true
			us = append(us, u)
		}
	}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if kept[id] && !strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if err := d.fs.Remove(filepath.Join(d.uploadDir(), e.Name())); err != nil {
			return fmt.Errorf("remove the rest of an upload: %w", err)
		}
	}
	slices.SortFunc(us, func(a, b *upload) int { return a.touched.Compare(b.touched) })
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range us {
		d.registerLocked(u)
	}
	return nil
}

// loadUpload reads one upload, or returns nil when it is of no use: its description is torn, or its data is missing or
// longer than announced.
func (d *Dir) loadUpload(id string) *upload {
	doc, touched, err := d.readSmall(d.metaPath(id))
	if err != nil {
		return nil
	}
	u := &upload{touched: touched, hash: sha256.New()}
	if err := json.Unmarshal(doc, &u.meta); err != nil || u.meta.ID != id || !u.meta.Digest.Valid() || u.meta.Size <= 0 {
		return nil
	}
	if u.meta.Finished {
		u.offset = u.meta.Size
		return u
	}
	f, err := d.fs.OpenFile(d.dataPath(id), os.O_RDONLY)
	if err != nil {
		return nil
	}
	st, err := f.Stat()
	if errors.Join(err, f.Close()) != nil || st.Size() > u.meta.Size {
		return nil
	}
	u.offset, u.touched = st.Size(), st.ModTime()
	return u
}

const maxMetaBytes = 16 << 10

func (d *Dir) readSmall(path string) ([]byte, time.Time, error) {
	f, err := d.fs.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, time.Time{}, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, errors.Join(err, f.Close())
	}
	doc, err := io.ReadAll(io.NewSectionReader(f, 0, maxMetaBytes))
	return doc, st.ModTime(), errors.Join(err, f.Close())
}
