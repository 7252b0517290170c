// Package errorfs wraps a blob.FS so that chosen operations fail: for tests of what happens when a disk is full, broken,
// or gone. It starts no goroutines; its methods may overlap.
package errorfs

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
)

// ErrHalted is what every operation returns after [FS.HaltAfter] struck: as seen from the disk, the process is dead.
var ErrHalted = errors.New("errorfs: halted")

// Op is an operation of a file system or a file.
type Op string

// The operations.
const (
	MkdirAll Op = "mkdir"
	OpenFile Op = "open"
	ReadDir  Op = "readdir"
	Rename   Op = "rename"
	Remove   Op = "remove"
	Chtimes  Op = "chtimes"
	SyncDir  Op = "syncdir"
	Free     Op = "free"
	Read     Op = "read"
	Write    Op = "write"
	Sync     Op = "sync"
	Truncate Op = "truncate"
)

// Rule makes operations fail.
type Rule struct {
	// Op is the operation, and Path a part of the path it is done on, "" any. A rename is matched by its target.
	Op   Op
	Path string
	// Skip is the number of matching operations that still work.
	Skip int
	// Times is the number of operations that fail then; 0 is all.
	Times int
	// Err is what they return.
	Err error
	// Short is the number of bytes that a failing write writes all the same.
	Short int
}

// FS is a blob.FS with faults.
type FS struct {
	inner blob.FS

	// mu guards the following.
	mu    sync.Mutex
	rules []Rule
	ops   int
	halt  int
}

var _ blob.FS = (*FS)(nil)

// New returns inner with faults.
func New(inner blob.FS, rules ...Rule) *FS {
	f := &FS{inner: inner, halt: -1}
	f.Set(rules...)
	return f
}

// Set replaces the rules.
func (f *FS) Set(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append([]Rule(nil), rules...)
}

// HaltAfter lets n more operations through and fails all others: a crash at a chosen moment. Reads do not count.
func (f *FS) HaltAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.halt = f.ops + n
}

// Ops returns the number of operations so far that change something.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// check counts an operation and returns its fault.
func (f *FS) check(op Op, path string) (short int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op != Read && op != ReadDir && op != Free {
		if f.halt >= 0 && f.ops >= f.halt {
			return 0, ErrHalted
		}
		f.ops++
	}
	for i := range f.rules {
		r := &f.rules[i]
		if r.Op != op || !strings.Contains(path, r.Path) || r.Err == nil {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		short, err = r.Short, r.Err
		if r.Times--; r.Times == 0 {
			r.Err = nil // spent
		}
		return short, err
	}
	return 0, nil
}

// MkdirAll implements blob.FS.
func (f *FS) MkdirAll(dir string) error {
	if _, err := f.check(MkdirAll, dir); err != nil {
		return err
	}
	return f.inner.MkdirAll(dir)
}

// OpenFile implements blob.FS.
func (f *FS) OpenFile(name string, flag int) (blob.File, error) {
	if _, err := f.check(OpenFile, name); err != nil {
		return nil, err
	}
	file, err := f.inner.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

// ReadDir implements blob.FS.
func (f *FS) ReadDir(dir string) ([]fs.DirEntry, error) {
	if _, err := f.check(ReadDir, dir); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(dir)
}

// Rename implements blob.FS.
func (f *FS) Rename(from, to string) error {
	if _, err := f.check(Rename, to); err != nil {
		return err
	}
	return f.inner.Rename(from, to)
}

// Remove implements blob.FS.
func (f *FS) Remove(name string) error {
	if _, err := f.check(Remove, name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

// Chtimes implements blob.FS.
func (f *FS) Chtimes(name string, t time.Time) error {
	if _, err := f.check(Chtimes, name); err != nil {
		return err
	}
	return f.inner.Chtimes(name, t)
}

// SyncDir implements blob.FS.
func (f *FS) SyncDir(dir string) error {
	if _, err := f.check(SyncDir, dir); err != nil {
		return err
	}
	return f.inner.SyncDir(dir)
}

// Free implements blob.FS.
func (f *FS) Free(dir string) (int64, error) {
	if _, err := f.check(Free, dir); err != nil {
		return 0, err
	}
	return f.inner.Free(dir)
}

type faultFile struct {
	blob.File
	fs   *FS
	name string
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.fs.check(Read, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	short, err := f.fs.check(Write, f.name)
	if err == nil {
		return f.File.WriteAt(p, off)
	}
	if short == 0 {
		return 0, err
	}
	n, werr := f.File.WriteAt(p[:min(short, len(p))], off)
	return n, errors.Join(err, werr)
}

func (f *faultFile) Sync() error {
	if _, err := f.fs.check(Sync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if _, err := f.fs.check(Truncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
