package blob

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// FS is what a [Dir] needs of the operating system: the seam for tests that inject faults.
type FS interface {
	MkdirAll(dir string) error
	OpenFile(name string, flag int) (File, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	Rename(from, to string) error
	Remove(name string) error
	Chtimes(name string, t time.Time) error
	// SyncDir makes renames within dir durable.
	SyncDir(dir string) error
	// Free returns the bytes that may still be written below dir.
	Free(dir string) (int64, error)
}

// File is an open file of an [FS].
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	// Fd is for mapping and locking.
	Fd() uintptr
}

// OS returns the operating system's FS. Files are made for their owner only.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) MkdirAll(dir string) error                 { return os.MkdirAll(dir, 0o700) }
func (osFS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func (osFS) Rename(from, to string) error              { return os.Rename(from, to) }
func (osFS) Remove(name string) error                  { return os.Remove(name) }
func (osFS) Chtimes(name string, t time.Time) error    { return os.Chtimes(name, t, t) }
func (osFS) Free(dir string) (int64, error)            { return freeBytes(dir) }

func (osFS) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600) // #nosec G304 -- names are made from digests and random ids
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFS) SyncDir(dir string) error {
	f, err := os.Open(dir) // #nosec G304 -- a folder of the store
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
