package blob_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestUploadResumes(t *testing.T) {
	cfg := blob.Config{Dir: t.TempDir()}
	d := open(t, cfg)
	data := randomBytes(7, 50_000)
	p := params("a", "m", data)
	first, err := d.Begin(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if first.Offset != 0 || first.Size != 50_000 || first.MaxChunk != 2<<20 {
		t.Fatalf("got %+v", first)
	}
	sendFrom(t, d, "a", first, data[:20_000], 7000)
	for name, reopen := range map[string]bool{"same process": false, "after a restart": true} {
		if reopen {
			d.Close()
			d = open(t, cfg)
		}
		again, err := d.Begin(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if again.ID != first.ID || again.Offset != 20_000 {
			t.Errorf("%s: got %+v, want id %s at 20000", name, again, first.ID)
		}
	}
	wantNoBlob(t, d, p.Digest)
	sendFrom(t, d, "a", blob.Upload{ID: first.ID, Offset: 20_000}, data, 9000)
	for range 2 { // the second is what a client does whose answer was lost
		if got, err := d.Finish(t.Context(), "a", first.ID); err != nil || got != p.Digest {
			t.Fatalf("got %s, %v", got, err)
		}
	}
	wantBlob(t, d, data)
	d.Close()
	d = open(t, cfg)
	if got, err := d.Finish(t.Context(), "a", first.ID); err != nil || got != p.Digest {
		t.Fatalf("finish again after a restart: got %s, %v", got, err)
	}
	wantBlob(t, d, data)
}

func TestUploadsAreTheOwners(t *testing.T) {
	d := open(t, blob.Config{})
	data := randomBytes(1, 1000)
	up, err := d.Begin(t.Context(), params("a", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.Begin(t.Context(), params("b", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	if other.ID == up.ID {
		t.Fatal("two owners share an upload")
	}
	for _, id := range []string{up.ID, "nope", "", "../x"} {
		_, e1 := d.Append(t.Context(), "b", id, 0, data, crc(data))
		_, e2 := d.Finish(t.Context(), "b", id)
		for _, err := range []error{e1, e2, d.Abort(t.Context(), "b", id)} {
			if !errors.Is(err, blob.ErrNotFound) || err.Error() != "upload: not found" {
				t.Errorf("%q: got %v, want the same not found for all", id, err)
			}
		}
	}
	// a stored blob makes nothing shorter for somebody else, nor for the same owner
	upload(t, d, params("a", "m", data), data, 1000)
	for _, p := range []blob.UploadParams{params("b", "m", data), params("c", "x", data), params("a", "m", data)} {
		if got, err := d.Begin(t.Context(), p); err != nil || got.Offset != 0 {
			t.Errorf("%s: got %+v, %v; want offset 0", p.Owner, got, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	d := open(t, blob.Config{MaxChunkBytes: 100})
	data := randomBytes(1, 250)
	up, err := d.Begin(t.Context(), params("a", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	sendFrom(t, d, "a", up, data[:120], 100)
	for name, c := range map[string]struct {
		offset int64
		data   []byte
		crc    uint32
		want   error
	}{
		"bad crc":             {120, data[120:200], 1, blob.ErrChecksum},
		"chunk over limit":    {120, make([]byte, 101), 0, blob.ErrTooLarge},
		"bad crc, over limit": {120, make([]byte, 101), 1, blob.ErrTooLarge},
	} {
		got, err := d.Append(t.Context(), "a", up.ID, c.offset, c.data, c.crc)
		if !errors.Is(err, c.want) || got != 120 {
			t.Errorf("%s: got %d, %v; want 120, %v", name, got, err, c.want)
		}
	}
	for _, off := range []int64{-1, 0, 119, 121, 250, 1 << 62} {
		got, err := d.Append(t.Context(), "a", up.ID, off, data[:1], crc(data[:1]))
		var oe *blob.OffsetError
		if !errors.As(err, &oe) || oe.Committed != 120 || oe.Offset != off || got != 120 {
			t.Errorf("offset %d: got %d, %v", off, got, err)
		}
	}
	if got, err := d.Append(t.Context(), "a", up.ID, 120, nil, 0); got != 120 || err != nil {
		t.Errorf("empty chunk: got %d, %v", got, err)
	}
	if _, err := d.Finish(t.Context(), "a", up.ID); !errors.Is(err, blob.ErrIncomplete) {
		t.Errorf("got %v, want %v", err, blob.ErrIncomplete)
	}
	sendFrom(t, d, "a", blob.Upload{ID: up.ID, Offset: 120}, data[:200], 80)
	if _, err := d.Append(t.Context(), "a", up.ID, 200, make([]byte, 51), crc(make([]byte, 51))); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("past the end: got %v, want %v", err, blob.ErrTooLarge)
	}
	sendFrom(t, d, "a", blob.Upload{ID: up.ID, Offset: 200}, data, 50)
	if _, err := d.Finish(t.Context(), "a", up.ID); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, d, data)
}

func TestBeginRefuses(t *testing.T) {
	d := open(t, blob.Config{MaxBlobBytes: 1000, MaxUploads: 2})
	good := params("a", "m", randomBytes(1, 10))
	for name, c := range map[string]struct {
		change func(*blob.UploadParams)
		want   error
	}{
		"owner":     {func(p *blob.UploadParams) { p.Owner = "" }, tenant.ErrName},
		"name":      {func(p *blob.UploadParams) { p.Name = "../m" }, tenant.ErrName},
		"kind":      {func(p *blob.UploadParams) { p.Kind = "" }, tenant.ErrName},
		"size 0":    {func(p *blob.UploadParams) { p.Size = 0 }, blob.ErrInvalid},
		"size < 0":  {func(p *blob.UploadParams) { p.Size = -5 }, blob.ErrInvalid},
		"too large": {func(p *blob.UploadParams) { p.Size = 1001 }, blob.ErrTooLarge},
		"digest":    {func(p *blob.UploadParams) { p.Digest = "sha256:../../etc/passwd" }, blob.ErrInvalid},
	} {
		p := good
		c.change(&p)
		if _, err := d.Begin(t.Context(), p); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	for i := range 2 {
		if _, err := d.Begin(t.Context(), params("a", "m", randomBytes(uint64(i), 10))); err != nil {
			t.Fatal(err)
		}
	}
	third := params("a", "m", randomBytes(9, 10))
	if _, err := d.Begin(t.Context(), third); !errors.Is(err, blob.ErrTooManyUploads) {
		t.Errorf("got %v, want %v", err, blob.ErrTooManyUploads)
	}
	if _, err := d.Begin(t.Context(), params("b", "m", randomBytes(9, 10))); err != nil {
		t.Errorf("another owner: %v", err)
	}
	upload(t, d, params("a", "m", randomBytes(0, 10)), randomBytes(0, 10), 10)
	if _, err := d.Begin(t.Context(), third); err != nil {
		t.Errorf("after one finished: %v", err)
	}
}

func TestFinishWrongDigest(t *testing.T) {
	cfg := blob.Config{Dir: t.TempDir()}
	d := open(t, cfg)
	data := randomBytes(1, 3000)
	p := params("a", "m", data)
	up, err := d.Begin(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), data...)
	bad[2999] ^= 1
	sendFrom(t, d, "a", up, bad, 1000)
	if _, err := d.Finish(t.Context(), "a", up.ID); !errors.Is(err, blob.ErrDigest) {
		t.Fatalf("got %v, want %v", err, blob.ErrDigest)
	}
	wantNoBlob(t, d, p.Digest)
	wantNoBlob(t, d, digestOf(bad))
	wantEmpty(t, filepath.Join(cfg.Dir, "uploads"))
	fresh, err := d.Begin(t.Context(), p)
	if err != nil || fresh.Offset != 0 || fresh.ID == up.ID {
		t.Fatalf("got %+v, %v; want a fresh upload", fresh, err)
	}
	upload(t, d, p, data, 500)
	wantBlob(t, d, data)
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left in %s", e.Name(), dir)
	}
}

func TestAbortAndSweep(t *testing.T) {
	c := newClock()
	cfg := blob.Config{Dir: t.TempDir(), Now: c.Now}
	d := open(t, cfg)
	old, aborted, fresh := randomBytes(1, 10), randomBytes(2, 10), randomBytes(3, 10)
	ids := map[string]string{}
	for name, data := range map[string][]byte{"old": old, "aborted": aborted, "fresh": fresh} {
		up, err := d.Begin(t.Context(), params("a", name, data))
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = up.ID
	}
	upload(t, d, params("a", "done", old), old, 10)
	if err := d.Abort(t.Context(), "a", ids["aborted"]); err != nil {
		t.Fatal(err)
	}
	if err := d.Abort(t.Context(), "a", ids["aborted"]); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("second abort: got %v, want %v", err, blob.ErrNotFound)
	}
	c.Advance(2 * time.Hour)
	if _, err := d.Append(t.Context(), "a", ids["fresh"], 0, fresh[:5], crc(fresh[:5])); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Sweep(t.Context(), time.Hour); n != 1 || err != nil {
		t.Fatalf("got %d, %v; want 1", n, err)
	}
	if d.Finished() != 0 {
		t.Error("a finished upload is still remembered")
	}
	if _, err := d.Append(t.Context(), "a", ids["old"], 0, old, crc(old)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("swept upload: got %v, want %v", err, blob.ErrNotFound)
	}
	sendFrom(t, d, "a", blob.Upload{ID: ids["fresh"], Offset: 5}, fresh, 5)
	if _, err := d.Finish(t.Context(), "a", ids["fresh"]); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, d, old)
	wantBlob(t, d, fresh)
}

func TestFinishedUploadsAreBounded(t *testing.T) {
	d := open(t, blob.Config{MaxUploads: 3})
	for i := range 20 {
		data := fmt.Appendf(nil, "blob %d", i)
		upload(t, d, params("a", "m", data), data, 10)
	}
	if got := d.Finished(); got != 3 {
		t.Fatalf("got %d finished uploads, want 3", got)
	}
}

func TestStartRemovesWhatIsOfNoUse(t *testing.T) {
	cfg := blob.Config{Dir: t.TempDir()}
	d := open(t, cfg)
	data := randomBytes(1, 100)
	up, err := d.Begin(t.Context(), params("a", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	dir := filepath.Join(cfg.Dir, "uploads")
	meta, err := os.ReadFile(filepath.Join(dir, up.ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"TORN.json": string(meta[:len(meta)/2]), "TORN.data": "x",
		"EMPTY.json": "", "EMPTY.data": "",
		"NODATA.json":       strings.ReplaceAll(string(meta), up.ID, "NODATA"),
		"TOOLONG.json":      strings.ReplaceAll(string(meta), up.ID, "TOOLONG"),
		"TOOLONG.data":      strings.Repeat("x", 101),
		"OTHERID.json":      string(meta),
		"ORPHAN.data":       "x",
		"HUGE.json":         strings.Repeat(" ", blob.MaxMetaBytes) + string(meta),
		up.ID + ".json.tmp": "{",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d = open(t, cfg)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("got %v, want the two files of the good upload", entries)
	}
	if again, err := d.Begin(t.Context(), params("a", "m", data)); err != nil || again.ID != up.ID {
		t.Errorf("got %+v, %v; want id %s", again, err, up.ID)
	}
}

func TestFinishHonoursContext(t *testing.T) {
	cfg := blob.Config{Dir: t.TempDir()}
	d := open(t, cfg)
	data := randomBytes(1, 1<<20)
	up, err := d.Begin(t.Context(), params("a", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	sendFrom(t, d, "a", up, data, 1<<18)
	d.Close()
	d = open(t, cfg) // so that Finish has to read it all
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Finish(ctx, "a", up.ID); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	if _, err := d.Finish(t.Context(), "a", up.ID); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, d, data)
}

// TestHammer has many callers on few uploads at once: whatever the order, what is stored is whole.
func TestHammer(t *testing.T) {
	d := open(t, blob.Config{MaxUploads: 4})
	contents := [][]byte{randomBytes(1, 3000), randomBytes(2, 3000)}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			owner := tenant.ID([]string{"a", "b"}[g%2])
			for i := range 40 {
				data := contents[(g+i)%2]
				hammer(t, d, owner, data, i)
			}
		})
	}
	wg.Wait()
	for _, data := range contents {
		wantBlob(t, d, data)
	}
}

// hammer uploads data, giving way to whoever else is at the same upload.
func hammer(t *testing.T, d *blob.Dir, owner tenant.ID, data []byte, i int) {
	t.Helper()
	up, err := d.Begin(t.Context(), params(owner, "m", data))
	if err != nil {
		t.Error(err)
		return
	}
	off := up.Offset
	for off < int64(len(data)) {
		part := data[off:min(off+700, int64(len(data)))]
		got, err := d.Append(t.Context(), owner, up.ID, off, part, crc(part))
		var oe *blob.OffsetError
		switch {
		case errors.As(err, &oe):
			off = oe.Committed
		case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrTooLarge):
			return // aborted by another
		case err != nil:
			t.Error(err)
			return
		default:
			off = got
		}
		if i%7 == 3 {
			d.Abort(t.Context(), owner, up.ID)
			return
		}
	}
	if _, err := d.Finish(t.Context(), owner, up.ID); err != nil && !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, blob.ErrIncomplete) {
		t.Error(err)
	}
}

func TestHeldAndAbortAll(t *testing.T) {
	d := open(t, blob.Config{})
	begin := func(owner tenant.ID, name string, n int) blob.Upload {
		up, err := d.Begin(t.Context(), params(owner, name, randomBytes(uint64(n), n)))
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	one, _, other := begin("a", "m", 100), begin("a", "n", 23), begin("b", "m", 7)
	held := func(owner tenant.ID) (n int64) {
		for _, u := range d.Held(owner) {
			if p, err := d.Params(t.Context(), owner, u.ID); err != nil || p != u.UploadParams {
				t.Errorf("got %+v, want %+v, %v", u.UploadParams, p, err)
			}
			n += u.Size
		}
		return n
	}
	if a, b, c := held("a"), held("b"), held("c"); a != 123 || b != 7 || c != 0 {
		t.Errorf("got %d, %d, %d bytes", a, b, c)
	}
	for range 2 {
		if err := d.AbortAll(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := held("a"), held("b"); a != 0 || b != 7 {
		t.Errorf("after aborting: got %d, %d bytes", a, b)
	}
	if _, err := d.Params(t.Context(), "a", one.ID); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := d.Params(t.Context(), "b", other.ID); err != nil {
		t.Error(err)
	}
}
