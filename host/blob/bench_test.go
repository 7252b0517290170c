package blob_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/blob"
)

func sortBy(ss []string, key func(string) string) {
	slices.SortFunc(ss, func(a, b string) int { return strings.Compare(key(a), key(b)) })
}

// BenchmarkUpload stores blobs of one size, in chunks of 1 MiB, durably. Reported in bytes per second.
func BenchmarkUpload(b *testing.B) {
	for name, size := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20, "100MiB": 100 << 20} {
		b.Run(name, func(b *testing.B) {
			d := open(b, blob.Config{})
			data := randomBytes(1, size)
			p := params("a", "m", data)
			b.SetBytes(int64(size))
			for b.Loop() {
				upload(b, d, p, data, 1<<20)
			}
		})
	}
}

// BenchmarkOpen maps and unmaps a blob of 100 MiB without reading it.
func BenchmarkOpen(b *testing.B) {
	d := open(b, blob.Config{})
	data := randomBytes(1, 100<<20)
	digest := upload(b, d, params("a", "m", data), data, 1<<20)
	for b.Loop() {
		bl, err := d.Open(b.Context(), digest)
		if err != nil {
			b.Fatal(err)
		}
		bl.Close()
	}
}
