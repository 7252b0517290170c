package blob_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// modelUpload is an upload as the model has it.
type modelUpload struct {
	owner   tenant.ID
	data    []byte
	offset  int64
	touched time.Time
}

// TestModel compares a Dir with two maps over random calls and restarts.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &dirModel{
			t: rt, clock: newClock(), cfg: blob.Config{MaxUploads: 3, MaxChunkBytes: 64},
			uploads: map[string]*modelUpload{}, blobs: map[blob.Digest]time.Time{},
		}
		m.cfg.Dir, m.cfg.Now = t.TempDir(), m.clock.Now
		m.restart(rt)
		defer func() { m.dir.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "append": m.append, "finish": m.finish, "abort": m.abort, "sweep": m.sweep,
			"collect": m.collect, "restart": m.restart, "wait": m.wait, "": m.check,
		})
	})
}

type dirModel struct {
	t       *rapid.T
	cfg     blob.Config
	clock   *clock
	dir     *blob.Dir
	uploads map[string]*modelUpload
	blobs   map[blob.Digest]time.Time
}

var (
	genOwner   = rapid.SampledFrom([]tenant.ID{"a", "b"})
	genContent = rapid.Custom(func(t *rapid.T) []byte {
		i := rapid.IntRange(0, 3).Draw(t, "content")
		return randomBytes(uint64(i), 50+60*i)
	})
)

func (m *dirModel) pick(t *rapid.T) (string, *modelUpload) {
	ids := make([]string, 0, len(m.uploads))
	for id := range m.uploads {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		t.Skip("no upload")
	}
	// ids are random, so choose by what is the same in every run
	sortBy(ids, func(id string) string { u := m.uploads[id]; return fmt.Sprint(u.owner, digestOf(u.data)) })
	id := rapid.SampledFrom(ids).Draw(t, "upload")
	return id, m.uploads[id]
}

func (m *dirModel) begin(t *rapid.T) {
	owner, data := genOwner.Draw(t, "owner"), genContent.Draw(t, "data")
	var known string
	open := 0
	for id, u := range m.uploads {
		if u.owner == owner {
			open++
			if digestOf(u.data) == digestOf(data) {
				known = id
			}
		}
	}
	up, err := m.dir.Begin(m.t.Context(), params(owner, "m", data))
	switch {
	case known != "":
		if err != nil || up.ID != known || up.Offset != m.uploads[known].offset {
			t.Fatalf("resume: got %+v, %v; want %s at %d", up, err, known, m.uploads[known].offset)
		}
		m.uploads[known].touched = m.clock.t
	case open == m.cfg.MaxUploads:
		if !errors.Is(err, blob.ErrTooManyUploads) {
			t.Fatalf("got %v, want %v", err, blob.ErrTooManyUploads)
		}
	case err != nil || up.Offset != 0 || m.uploads[up.ID] != nil:
		t.Fatalf("got %+v, %v; want a fresh upload", up, err)
	default:
		m.uploads[up.ID] = &modelUpload{owner: owner, data: data, touched: m.clock.t}
	}
}

func (m *dirModel) append(t *rapid.T) {
	id, u := m.pick(t)
	off := u.offset + rapid.SampledFrom([]int64{0, 0, 0, 0, -1, 1}).Draw(t, "off")
	n := min(int64(rapid.IntRange(0, 64).Draw(t, "n")), int64(len(u.data))-u.offset)
	part := u.data[u.offset : u.offset+n]
	u.touched = m.clock.t
	got, err := m.dir.Append(m.t.Context(), u.owner, id, off, part, crc(part))
	if off != u.offset {
		var oe *blob.OffsetError
		if !errors.As(err, &oe) || oe.Committed != u.offset {
			t.Fatalf("got %v, want offset %d", err, u.offset)
		}
		return
	}
	if u.offset += n; err != nil || got != u.offset {
		t.Fatalf("got %d, %v; want %d", got, err, u.offset)
	}
}

func (m *dirModel) finish(t *rapid.T) {
	id, u := m.pick(t)
	got, err := m.dir.Finish(m.t.Context(), u.owner, id)
	u.touched = m.clock.t
	if u.offset < int64(len(u.data)) {
		if !errors.Is(err, blob.ErrIncomplete) {
			t.Fatalf("got %v, want %v", err, blob.ErrIncomplete)
		}
		return
	}
	if err != nil || got != digestOf(u.data) {
		t.Fatalf("got %s, %v", got, err)
	}
	delete(m.uploads, id)
	m.blobs[got] = m.clock.t
}

func (m *dirModel) abort(t *rapid.T) {
	id, u := m.pick(t)
	if err := m.dir.Abort(m.t.Context(), u.owner, id); err != nil {
		t.Fatal(err)
	}
	delete(m.uploads, id)
}

func (m *dirModel) sweep(t *rapid.T) {
	want := 0
	for id, u := range m.uploads {
		if u.touched.Before(m.clock.t.Add(-time.Minute)) {
			want++
			delete(m.uploads, id)
		}
	}
	if got, err := m.dir.Sweep(m.t.Context(), time.Minute); got != want || err != nil {
		t.Fatalf("got %d, %v; want %d", got, err, want)
	}
}

func (m *dirModel) collect(t *rapid.T) {
	keep := map[blob.Digest]struct{}{digestOf(genContent.Draw(t, "keep")): {}}
	before := m.clock.t.Add(-time.Minute)
	for d, at := range m.blobs {
		if _, ok := keep[d]; !ok && at.Before(before) {
			delete(m.blobs, d)
		}
	}
	if _, _, err := blob.Collect(m.t.Context(), m.dir, keep, before); err != nil {
		t.Fatal(err)
	}
}

// restart reopens the folder. How long ago an upload was touched is known by its data from then on, whose file has the
// machine's time, so the model takes all of them as touched now.
func (m *dirModel) restart(t *rapid.T) {
	if m.dir != nil {
		m.dir.Close()
	}
	d, err := blob.OpenDir(t.Context(), m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.dir = d
	for id, u := range m.uploads {
		if up, err := d.Begin(t.Context(), params(u.owner, "m", u.data)); err != nil || up.ID != id {
			t.Fatalf("restart: got %+v, %v; want %s", up, err, id)
		}
		u.touched = m.clock.t
	}
}

func (m *dirModel) wait(*rapid.T) { m.clock.Advance(40 * time.Second) }

func (m *dirModel) check(t *rapid.T) {
	n := 0
	for info, err := range m.dir.All(m.t.Context()) {
		at, ok := m.blobs[info.Digest]
		if err != nil || !ok || !at.Equal(info.StoredAt) {
			t.Fatalf("got %+v, %v; want %v, %v", info, err, at, ok)
		}
		n++
	}
	if n != len(m.blobs) {
		t.Fatalf("got %d blobs, want %d", n, len(m.blobs))
	}
}
