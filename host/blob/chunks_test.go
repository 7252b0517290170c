package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"testing"

	"github.com/tandem-serve/tandem/host/blob"
)

// FuzzChunks uploads in chunks that the fuzzer makes up, in any order and with wrong checksums. Whatever it does, the bytes under
// a digest are those that the digest is of, and an upload never has more than was announced.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("hello, world"), []byte{0, 12, 0, 0, 0, 2})
	f.Add([]byte("hello, world"), []byte{0, 5, 0, 5, 7, 0, 0, 0, 2})
	f.Add([]byte("hello, world"), []byte{0, 12, 1, 0, 12, 4, 0, 0, 2, 9, 200, 0})
	f.Add([]byte("x"), []byte{255, 255, 255, 0, 0, 2, 0, 1, 0, 0, 0, 2, 0, 0, 2})
	f.Fuzz(func(t *testing.T, content, steps []byte) {
		if len(content) == 0 || len(content) > 1<<10 || len(steps) > 300 {
			return
		}
		d, err := blob.OpenDir(t.Context(), blob.Config{Dir: t.TempDir(), ReserveBytes: -1, MaxChunkBytes: 64})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
		sum := sha256.Sum256(content)
		digest := blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
		up, err := d.Begin(t.Context(), blob.UploadParams{Owner: "t", Kind: "model", Name: "m", Size: int64(len(content)), Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		for ; len(steps) >= 3; steps = steps[3:] {
			offset, n, how := int64(int8(steps[0])), int(steps[1]), steps[2]
			if how&2 != 0 {
				_, _ = d.Finish(t.Context(), "t", up.ID) // what it stored is looked at below
				continue
			}
			data := make([]byte, n)
			if how&4 == 0 && offset >= 0 && offset < int64(len(content)) {
				copy(data, content[offset:]) // the right bytes, and zeros beyond them
			}
			committed, err := d.Append(t.Context(), "t", up.ID, offset, data, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))^uint32(how&1))
			if err == nil && (how&1 != 0 || committed != offset+int64(n) || committed > int64(len(content)) || n > 64) {
				t.Fatalf("chunk of %d bytes at %d of %d was taken, checksum wrong %v: now at %d", n, offset, len(content), how&1 != 0, committed)
			}
		}
		b, err := d.Open(t.Context(), digest)
		if err != nil {
			return
		}
		if !bytes.Equal(b.Bytes(), content) {
			t.Errorf("the digest has %q, want %q", b.Bytes(), content)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}
