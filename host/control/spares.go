package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
)

// A blob that nobody names is removed when it is spareAge old; whoever pushed it may finish its upload once more until then, with other
// options or after a failure that has passed.
const (
	spareAge   = time.Minute
	spareEvery = 30 * time.Second
)

// collectSpares removes blobs that were refused or deleted, and those that a server before left so, until ctx ends. A failure is logged
// and tried again; what it leaves is removed by the collection of garbage.
func (m *Manager) collectSpares(ctx context.Context) {
	if err := m.disk.adopt(ctx); err != nil && ctx.Err() == nil {
		m.cfg.Logger.ErrorContext(ctx, "look for blobs that nobody names", slog.Any("error", err))
	}
	tick := time.NewTicker(spareEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := m.disk.sweep(ctx, time.Now().Add(-spareAge)); err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "remove blobs that nobody names", slog.Any("error", err))
		}
	}
}

// adopt takes blobs that nobody names for spares. They are nobody's: whose they were is not known any more.
func (d *disk) adopt(ctx context.Context) error {
	named, err := d.catalog.References(ctx)
	if err != nil {
		return err
	}
	for info, err := range d.blobs.All(ctx) {
		if err != nil {
			return err
		}
		if _, ok := named[info.Digest]; !ok {
			d.deleting("", map[blob.Digest]int64{info.Digest: info.Size}).end(true)
		}
	}
	return nil
}

// sweep forgets the spares that nobody has used since before: of those that somebody names by now the catalog tells, and the others are
// removed. An upload of a blob that is being removed waits, so that what it stores is not removed in place of what was there.
func (d *disk) sweep(ctx context.Context, before time.Time) error {
	old := d.leave(before)
	if len(old) == 0 {
		return nil
	}
	left := make([]blob.Digest, 0, len(old))
	defer func() { d.left(old, left, before) }()
	named, err := d.catalog.References(ctx) // after leave: nobody can come to name one of them any more
	if err != nil {
		return err
	}
	for _, digest := range old {
		if _, ok := named[digest]; !ok {
			if _, err := d.blobs.Delete(ctx, digest, time.Now()); err != nil {
				return err
			}
		}
		left = append(left, digest)
	}
	return nil
}

// leave returns the spares that nobody has used since before, which uploads wait for from now on until left.
func (d *disk) leave(before time.Time) []blob.Digest {
	d.mu.Lock()
	defer d.mu.Unlock()
	idle := map[blob.Digest]bool{}
	for _, a := range d.accounts {
		for digest, s := range a.spares {
			was, seen := idle[digest]
			idle[digest] = s.idle(before) && (was || !seen) && d.leaving[digest] == nil
		}
	}
	var old []blob.Digest
	for digest, ok := range idle {
		if ok {
			old = append(old, digest)
			d.leaving[digest] = make(chan struct{})
		}
	}
	return old
}

// left ends what leave began; of those in gone, the spares are forgotten that nobody has come to use meanwhile.
func (d *disk) left(old, gone []blob.Digest, before time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, digest := range gone {
		for _, a := range d.accounts {
			if s := a.spares[digest]; s != nil && s.idle(before) {
				delete(a.spares, digest)
			}
		}
	}
	for _, digest := range old {
		close(d.leaving[digest])
		delete(d.leaving, digest)
	}
}

func (s *spare) idle(before time.Time) bool { return s.users == 0 && !s.since.After(before) }
