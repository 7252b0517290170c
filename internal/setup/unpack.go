package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

var errDigest = errors.New("digest mismatch")

// verify returns nil when dir holds every file with its digest, fs.ErrNotExist or errDigest when one is missing or wrong.
func verify(ctx context.Context, dir string, files []file) error {
	for _, f := range files {
		if err := verifyFile(ctx, filepath.Join(dir, f.name), f); err != nil {
			return err
		}
	}
	return nil
}

func verifyFile(ctx context.Context, path string, f file) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return copyChecked(ctx, io.Discard, in, f)
}

// unpack writes the wanted files of the npm tarball into dir, checking each one's digest on the way.
func unpack(ctx context.Context, tarball, dir string, files []file) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	in, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("read package: %w", err)
	}
	want := make(map[string]file, len(files))
	for _, f := range files {
		want["package/"+f.path] = f
	}
	archive := tar.NewReader(unzipped)
	for len(want) > 0 {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read package: %w", err)
		}
		f, ok := want[h.Name]
		if !ok {
			continue
		}
		delete(want, h.Name)
		if err := writeChecked(ctx, filepath.Join(dir, f.name), archive, f); err != nil {
			return err
		}
	}
	for path := range want {
		return fmt.Errorf("%s is not in the package: the registry serves another package than the pinned one", path)
	}
	return nil
}

func writeChecked(ctx context.Context, path string, in io.Reader, f file) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = copyChecked(ctx, out, in, f)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// copyChecked copies at most f.bytes and reports errDigest unless in holds exactly the file that f describes.
func copyChecked(ctx context.Context, out io.Writer, in io.Reader, f file) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), contextReader{ctx, io.LimitReader(in, f.bytes+1)})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != f.bytes || got != f.sha256 {
		return fmt.Errorf("%w: %s has SHA-256 %s, want %s: the registry or a mirror serves another file than the pinned one",
			errDigest, f.path, got, f.sha256)
	}
	return nil
}

// contextReader stops reading when its context is done.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one copy
	in  io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}
