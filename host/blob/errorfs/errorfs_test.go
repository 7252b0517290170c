package errorfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/blob/errorfs"
)

var errBroken = errors.New("broken")

// all does each operation once on a file in dir and returns what failed.
func all(t *testing.T, f *errorfs.FS, dir string) map[errorfs.Op]error {
	t.Helper()
	name := filepath.Join(dir, "x")
	errs := map[errorfs.Op]error{errorfs.MkdirAll: f.MkdirAll(dir)}
	_, errs[errorfs.ReadDir] = f.ReadDir(dir)
	_, errs[errorfs.Free] = f.Free(dir)
	errs[errorfs.SyncDir] = f.SyncDir(dir)
	file, err := f.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if errs[errorfs.OpenFile] = err; err == nil {
		_, errs[errorfs.Write] = file.WriteAt([]byte("abc"), 0)
		_, errs[errorfs.Read] = file.ReadAt(make([]byte, 1), 0)
		errs[errorfs.Sync] = file.Sync()
		errs[errorfs.Truncate] = file.Truncate(3)
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	errs[errorfs.Chtimes] = f.Chtimes(name, time.Now())
	errs[errorfs.Rename] = f.Rename(name, name+"2")
	errs[errorfs.Remove] = f.Remove(name + "2")
	return errs
}

func TestEachOperationFails(t *testing.T) {
	for op, err := range all(t, errorfs.New(blob.OS()), t.TempDir()) {
		if err != nil {
			t.Errorf("without rules: %s: %v", op, err)
		}
	}
	for op := range all(t, errorfs.New(blob.OS()), t.TempDir()) {
		f := errorfs.New(blob.OS(), errorfs.Rule{Op: op, Err: errBroken, Times: 1})
		if err := all(t, f, t.TempDir())[op]; !errors.Is(err, errBroken) {
			t.Errorf("%s: got %v, want %v", op, err, errBroken)
		}
		if err := all(t, f, t.TempDir())[op]; err != nil {
			t.Errorf("%s, the second time: %v", op, err)
		}
	}
}

func TestRule(t *testing.T) {
	dir := t.TempDir()
	f := errorfs.New(blob.OS(), errorfs.Rule{Op: errorfs.Write, Path: "bad", Skip: 1, Err: errBroken, Short: 2})
	for name, want := range map[string]string{"good": "abcdef", "bad": "abcde"} {
		file, err := f.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE)
		if err != nil {
			t.Fatal(err)
		}
		_, err1 := file.WriteAt([]byte("abc"), 0)
		n, err2 := file.WriteAt([]byte("def"), 3)
		if err1 != nil || errors.Is(err2, errBroken) != (name == "bad") || n != len(want)-3 {
			t.Errorf("%s: got %v, %d, %v", name, err1, n, err2)
		}
		file.Close()
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestHaltAfter(t *testing.T) {
	f := errorfs.New(blob.OS())
	dir := t.TempDir()
	all(t, f, dir)
	ops := f.Ops()
	f.HaltAfter(ops - 1)
	if err := all(t, f, dir)[errorfs.Remove]; !errors.Is(err, errorfs.ErrHalted) {
		t.Errorf("the last operation: got %v, want %v", err, errorfs.ErrHalted)
	}
	if _, err := f.OpenFile(filepath.Join(dir, "y"), os.O_CREATE); !errors.Is(err, errorfs.ErrHalted) {
		t.Errorf("after it: got %v, want %v", err, errorfs.ErrHalted)
	}
	if _, err := os.Stat(filepath.Join(dir, "y")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a halted operation was done: %v", err)
	}
}
