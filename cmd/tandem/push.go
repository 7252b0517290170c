package main

import (
	"os"
	"path/filepath"

	"github.com/tandem-serve/tandem/sdk/client"
)

// upload is a file on its way to the server.
type upload struct {
	file *os.File
	size int64
	bar  *progress
}

// progress shows how far the upload is.
func (u *upload) progress() client.PushOption {
	return client.WithProgress(func(done, total int64) {
		u.bar.update(done, total)
		if done == total {
			u.bar.note("uploaded; the server checks it")
		}
	})
}

// withFile opens a file for push.
func withFile(e *env, path string, push func(*upload) error) error {
	f, err := os.Open(path) //nolint:gosec // the user named the file
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return usagef("%s is empty", path)
	}
	u := &upload{file: f, size: info.Size(), bar: newProgress(e.err, filepath.Base(path))}
	defer u.bar.clear()
	return push(u)
}
