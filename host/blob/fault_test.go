package blob_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/blob/errorfs"
	"github.com/tandem-serve/tandem/host/tenant"
)

// TestFullDisk makes each operation of an upload fail for want of space, once, and wants the upload to go on after it.
func TestFullDisk(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		for name, rule := range map[string]errorfs.Rule{
			"begin: data":       {Op: errorfs.OpenFile, Path: ".data"},
			"begin: meta":       {Op: errorfs.Write, Path: ".json"},
			"begin: meta short": {Op: errorfs.Write, Path: ".json", Short: 10},
			"begin: rename":     {Op: errorfs.Rename, Path: ".json"},
			"append":            {Op: errorfs.Write, Path: ".data", Skip: 1},
			"append short":      {Op: errorfs.Write, Path: ".data", Skip: 1, Short: 300},
			"finish: sync":      {Op: errorfs.Sync, Path: ".data"},
			"finish: rename":    {Op: errorfs.Rename, Path: "sha256"},
			"finish: dir":       {Op: errorfs.SyncDir, Path: "sha256"},
		} {
			rule.Err, rule.Times = &fs.PathError{Op: "test", Err: errno}, 1
			t.Run(name, func(t *testing.T) { fullDisk(t, rule) })
		}
	}
}

func fullDisk(t *testing.T, rule errorfs.Rule) {
	t.Helper()
	faults := errorfs.New(blob.OS())
	dir := t.TempDir()
	d := open(t, blob.Config{Dir: dir, FS: faults})
	faults.Set(rule)
	data := randomBytes(1, 5000)
	p := params("a", "m", data)
	failed := 0
	for range 3 {
		err := tryUpload(t, d, p, data)
		if err == nil {
			break
		}
		if !errors.Is(err, blob.ErrNoSpace) {
			t.Fatalf("got %v, want %v", err, blob.ErrNoSpace)
		}
		failed++
	}
	if failed != 1 {
		t.Fatalf("failed %d times, want 1", failed)
	}
	wantBlob(t, d, data)
	d.Close()
	d = open(t, blob.Config{Dir: dir})
	wantBlob(t, d, data)
	if left, err := filepath.Glob(filepath.Join(dir, "uploads", "*.data")); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// tryUpload goes on with p from wherever it stands.
func tryUpload(t *testing.T, d *blob.Dir, p blob.UploadParams, data []byte) error {
	t.Helper()
	up, err := d.Begin(t.Context(), p)
	if err != nil {
		return err
	}
	for off := up.Offset; off < p.Size; {
		part := data[off:min(off+1000, p.Size)]
		got, err := d.Append(t.Context(), p.Owner, up.ID, off, part, crc(part))
		if err != nil {
			if got != off {
				t.Fatalf("a failed chunk moved the offset from %d to %d", off, got)
			}
			return err
		}
		off = got
	}
	got, err := d.Finish(t.Context(), p.Owner, up.ID)
	if err == nil && got != p.Digest {
		t.Fatalf("got %s, want %s", got, p.Digest)
	}
	return err
}

func TestReserveIsLeftFree(t *testing.T) {
	free := &freeFS{FS: blob.OS(), free: 10_000}
	d := open(t, blob.Config{FS: free, ReserveBytes: 4000})
	data := randomBytes(1, 6001)
	if _, err := d.Begin(t.Context(), params("a", "m", data)); !errors.Is(err, blob.ErrNoSpace) {
		t.Fatalf("got %v, want %v", err, blob.ErrNoSpace)
	}
	data = data[:6000]
	up, err := d.Begin(t.Context(), params("a", "m", data))
	if err != nil {
		t.Fatal(err)
	}
	free.free = 4999
	if _, err := d.Append(t.Context(), "a", up.ID, 0, data[:1000], crc(data[:1000])); !errors.Is(err, blob.ErrNoSpace) {
		t.Fatalf("got %v, want %v", err, blob.ErrNoSpace)
	}
	free.free = 5000
	if _, err := d.Append(t.Context(), "a", up.ID, 0, data[:1000], crc(data[:1000])); err != nil {
		t.Fatal(err)
	}
}

type freeFS struct {
	blob.FS
	free int64
}

func (f *freeFS) Free(string) (int64, error) { return f.free, nil }

// TestOtherFaults wants errors that are not about space to be reported as what they are.
func TestOtherFaults(t *testing.T) {
	broken := errors.New("broken disk")
	for name, rule := range map[string]errorfs.Rule{
		"begin":            {Op: errorfs.OpenFile, Path: ".data"},
		"append":           {Op: errorfs.Write, Path: ".data"},
		"append, cut":      {Op: errorfs.Truncate},
		"finish: open":     {Op: errorfs.OpenFile, Path: ".data", Skip: 6},
		"finish: times":    {Op: errorfs.Chtimes},
		"finish: sync":     {Op: errorfs.Sync, Path: ".data"},
		"free":             {Op: errorfs.Free},
		"finish: sync dir": {Op: errorfs.SyncDir},
	} {
		t.Run(name, func(t *testing.T) {
			faults := errorfs.New(blob.OS())
			d := open(t, blob.Config{FS: faults})
			rule.Err = broken
			rules := []errorfs.Rule{rule}
			if rule.Op == errorfs.Truncate {
				rules = append(rules, errorfs.Rule{Op: errorfs.Sync, Path: ".data", Err: broken})
			}
			faults.Set(rules...)
			data := randomBytes(1, 5000)
			err := tryUpload(t, d, params("a", "m", data), data)
			if !errors.Is(err, broken) || errors.Is(err, blob.ErrNoSpace) {
				t.Fatalf("got %v, want %v", err, broken)
			}
			faults.Set()
			if err := tryUpload(t, d, params("a", "m", data), data); err != nil {
				t.Fatal(err)
			}
			wantBlob(t, d, data)
		})
	}
}

// TestHaltAnywhere stops the process, as seen from the disk, at every operation of a run of uploads, and looks at what
// the next start finds: every acknowledged blob, whole, and nothing else but whole blobs.
func TestHaltAnywhere(t *testing.T) {
	total := haltAfter(t, -1)
	if total < 30 {
		t.Fatalf("only %d operations", total)
	}
	for n := range total {
		haltAfter(t, n)
	}
}

func haltAfter(t *testing.T, n int) int {
	t.Helper()
	faults := errorfs.New(blob.OS())
	dir := t.TempDir()
	d, err := blob.OpenDir(t.Context(), blob.Config{Dir: dir, FS: faults})
	if err != nil {
		t.Fatal(err)
	}
	start := faults.Ops()
	if n >= 0 {
		faults.HaltAfter(n)
	}
	contents := [][]byte{randomBytes(1, 2500), randomBytes(2, 900), randomBytes(1, 2500)}
	acked := 0
	for i, data := range contents {
		if err := tryUpload(t, d, params([]tenant.ID{"a", "a", "b"}[i], "m", data), data); err != nil {
			if n < 0 || !errors.Is(err, errorfs.ErrHalted) {
				t.Fatalf("halted after %d: %v", n, err)
			}
			break
		}
		acked++
	}
	ops := faults.Ops() - start
	d.Close()

	d = open(t, blob.Config{Dir: dir})
	for _, data := range contents[:acked] {
		wantBlob(t, d, data)
	}
	for info, err := range d.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Open(t.Context(), info.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Verify(); err != nil {
			t.Errorf("halted after %d: %v", n, err)
		}
		b.Close()
	}
	for i, data := range contents {
		if err := tryUpload(t, d, params([]tenant.ID{"a", "a", "b"}[i], "m", data), data); err != nil {
			t.Fatalf("halted after %d: going on: %v", n, err)
		}
		wantBlob(t, d, data)
	}
	return ops
}
