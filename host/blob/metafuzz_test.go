package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// FuzzUploadRecord opens a store with the record of an unfinished upload that is damaged or made up. The store opens; the upload is
// gone, or ends as its announced bytes or as an error, and never as other bytes under a digest.
func FuzzUploadRecord(f *testing.F) {
	content := []byte("hello, world")
	sum := sha256.Sum256(content)
	digest := blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
	p := blob.UploadParams{Owner: "t", Kind: "model", Name: "m", Size: int64(len(content)), Digest: digest}
	const id = "fuzzed" // real ones are random
	own, record := unfinished(f, f.TempDir(), p, content[:5])
	f.Add(bytes.ReplaceAll(record, []byte(own), []byte(id)))
	for _, s := range []string{`{}`, `[`, `{"id":"` + id + `","digest":"` + string(digest) + `","size":-1}`, `{"id":"` + id + `","digest":"` + string(digest) + `","size":5,"finished":true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		dir := t.TempDir()
		own, _ := unfinished(t, dir, p, content[:5])
		for _, ext := range []string{".json", ".data"} {
			if err := os.Rename(filepath.Join(dir, "uploads", own+ext), filepath.Join(dir, "uploads", id+ext)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "uploads", id+".json"), record, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := blob.OpenDir(t.Context(), blob.Config{Dir: dir, ReserveBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
		for _, owner := range []tenant.ID{"t", ""} {
			if got, err := d.Params(t.Context(), owner, id); err == nil && got.Size <= 0 {
				t.Errorf("an upload of %d bytes", got.Size)
			}
			_, _ = d.Finish(t.Context(), owner, id) // what it stored is looked at below
		}
		b, err := d.Open(t.Context(), digest)
		if err != nil {
			return
		}
		if sha256.Sum256(b.Bytes()) != sum {
			t.Errorf("the digest has %q", b.Bytes())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// unfinished leaves an upload with a first chunk in a store, and returns its id and its record.
func unfinished(tb testing.TB, dir string, p blob.UploadParams, chunk []byte) (id string, record []byte) {
	tb.Helper()
	d, err := blob.OpenDir(tb.Context(), blob.Config{Dir: dir, ReserveBytes: -1})
	if err != nil {
		tb.Fatal(err)
	}
	up, err := d.Begin(tb.Context(), p)
	if err == nil {
		_, err = d.Append(tb.Context(), p.Owner, up.ID, 0, chunk, crc32.Checksum(chunk, crc32.MakeTable(crc32.Castagnoli)))
	}
	if err := errors.Join(err, d.Close()); err != nil {
		tb.Fatal(err)
	}
	if record, err = os.ReadFile(filepath.Join(dir, "uploads", up.ID+".json")); err != nil {
		tb.Fatal(err)
	}
	return up.ID, record
}
