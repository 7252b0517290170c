package blob_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

func digestOf(p []byte) blob.Digest {
	sum := sha256.Sum256(p)
	return blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	p := make([]byte, n)
	r.Read(p)
	return p
}

// open opens a Dir in a folder that lives as long as the test.
func open(t testing.TB, cfg blob.Config) *blob.Dir {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	d, err := blob.OpenDir(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func params(owner tenant.ID, name string, data []byte) blob.UploadParams {
	return blob.UploadParams{Owner: owner, Kind: "model", Name: name, Size: int64(len(data)), Digest: digestOf(data)}
}

// upload sends data in chunks and finishes.
func upload(t testing.TB, d *blob.Dir, p blob.UploadParams, data []byte, chunk int) blob.Digest {
	t.Helper()
	up, err := d.Begin(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	sendFrom(t, d, p.Owner, up, data, chunk)
	digest, err := d.Finish(t.Context(), p.Owner, up.ID)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func sendFrom(t testing.TB, d *blob.Dir, owner tenant.ID, up blob.Upload, data []byte, chunk int) {
	t.Helper()
	for off := int(up.Offset); off < len(data); {
		part := data[off:min(off+chunk, len(data))]
		got, err := d.Append(t.Context(), owner, up.ID, int64(off), part, crc(part))
		if err != nil {
			t.Fatal(err)
		}
		if off += len(part); got != int64(off) {
			t.Fatalf("got offset %d, want %d", got, off)
		}
	}
}

// wantBlob fails unless d has exactly data under its digest.
func wantBlob(t testing.TB, d *blob.Dir, data []byte) {
	t.Helper()
	b, err := d.Open(t.Context(), digestOf(data))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if string(b.Bytes()) != string(data) || b.Size() != int64(len(data)) || b.Digest() != digestOf(data) {
		t.Fatalf("blob %s has other content", b.Digest())
	}
	if err := b.Verify(); err != nil {
		t.Fatal(err)
	}
}

func wantNoBlob(t testing.TB, d *blob.Dir, digest blob.Digest) {
	t.Helper()
	if _, err := d.Stat(t.Context(), digest); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("got %v, want %v", err, blob.ErrNotFound)
	}
}

// clock is a clock that stands until it is moved.
type clock struct{ t time.Time }

func newClock() *clock                   { return &clock{time.Now().Truncate(time.Second)} }
func (c *clock) Now() time.Time          { return c.t }
func (c *clock) Advance(d time.Duration) { c.t = c.t.Add(d) }

func TestOpenDeleteAll(t *testing.T) {
	c := newClock()
	d := open(t, blob.Config{Now: c.Now})
	contents := [][]byte{randomBytes(1, 1), randomBytes(2, 4096), randomBytes(3, 100_000)}
	for _, data := range contents {
		if got := upload(t, d, params("a", "m", data), data, 4000); got != digestOf(data) {
			t.Fatalf("got %s, want %s", got, digestOf(data))
		}
		wantBlob(t, d, data)
	}
	seen := map[blob.Digest]int64{}
	for info, err := range d.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !info.StoredAt.Equal(c.t) {
			t.Errorf("stored at %v, want %v", info.StoredAt, c.t)
		}
		seen[info.Digest] = info.Size
	}
	if len(seen) != 3 || seen[digestOf(contents[1])] != 4096 {
		t.Fatalf("got %v", seen)
	}

	b, err := d.Open(t.Context(), digestOf(contents[2]))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		gone, err := d.Delete(t.Context(), b.Digest(), c.t)
		if gone || err != nil {
			t.Fatalf("deleted a blob as young as the limit: %v, %v", gone, err)
		}
	}
	if gone, err := d.Delete(t.Context(), b.Digest(), c.t.Add(1)); !gone || err != nil {
		t.Fatalf("got %v, %v", gone, err)
	}
	if gone, err := d.Delete(t.Context(), b.Digest(), c.t.Add(1)); gone || err != nil {
		t.Fatalf("second delete: got %v, %v", gone, err)
	}
	wantNoBlob(t, d, b.Digest())
	if err := b.Verify(); err != nil {
		t.Fatalf("an open blob must survive its deletion: %v", err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCollect(t *testing.T) {
	c := newClock()
	d := open(t, blob.Config{Now: c.Now})
	used, unused, young := randomBytes(1, 10), randomBytes(2, 20), randomBytes(3, 30)
	again := randomBytes(4, 40)
	for _, data := range [][]byte{used, unused, again} {
		upload(t, d, params("a", "m", data), data, 100)
	}
	c.Advance(time.Hour)
	before := c.t
	upload(t, d, params("a", "m", young), young, 100)
	upload(t, d, params("b", "m", again), again, 100) // stored a second time: young again
	keep := map[blob.Digest]struct{}{digestOf(used): {}}
	blobs, bytes, err := blob.Collect(t.Context(), d, keep, before)
	if blobs != 1 || bytes != 20 || err != nil {
		t.Fatalf("got %d blobs, %d bytes, %v; want 1, 20", blobs, bytes, err)
	}
	wantNoBlob(t, d, digestOf(unused))
	for _, data := range [][]byte{used, young, again} {
		wantBlob(t, d, data)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	dir := t.TempDir()
	d := open(t, blob.Config{Dir: dir})
	data := randomBytes(1, 5000)
	upload(t, d, params("a", "m", data), data, 5000)
	path := filepath.Join(dir, "blobs", "sha256", digestOf(data).Hex())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{data[77] ^ 1}, 77); err != nil {
		t.Fatal(err)
	}
	f.Close()
	b, err := d.Open(t.Context(), digestOf(data))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Verify(); !errors.Is(err, blob.ErrDigest) {
		t.Fatalf("got %v, want %v", err, blob.ErrDigest)
	}
}

func TestOpenDirRefuses(t *testing.T) {
	dir := t.TempDir()
	d := open(t, blob.Config{Dir: dir})
	if _, err := blob.OpenDir(t.Context(), blob.Config{Dir: dir}); err == nil {
		t.Fatal("two Dirs have one folder")
	}
	d.Close()
	open(t, blob.Config{Dir: dir})
	for name, cfg := range map[string]blob.Config{
		"no folder": {}, "negative limit": {Dir: dir, MaxBlobBytes: -1},
	} {
		if _, err := blob.OpenDir(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestClosed(t *testing.T) {
	d := open(t, blob.Config{})
	data := randomBytes(1, 10)
	up, err := d.Begin(t.Context(), params("a", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	_, e1 := d.Begin(t.Context(), params("a", "m", data))
	_, e2 := d.Append(t.Context(), "a", up.ID, 0, data, crc(data))
	_, e3 := d.Finish(t.Context(), "a", up.ID)
	_, e4 := d.Open(t.Context(), digestOf(data))
	_, e5 := d.Sweep(t.Context(), 0)
	for i, err := range []error{e1, e2, e3, e4, e5, d.Abort(t.Context(), "a", up.ID)} {
		if !errors.Is(err, blob.ErrClosed) {
			t.Errorf("%d: got %v, want %v", i, err, blob.ErrClosed)
		}
	}
}
