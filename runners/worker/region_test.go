package worker

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/runners"
)

// Blocks never overlap, hold what was put there, and all is one again when the last is given back.
func TestRegion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const size = 1 << 20
		r, err := newRegion(size)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		type block struct {
			at    int64
			data  []byte
			holds int
		}
		var blocks []*block
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				n := rapid.IntRange(1, size/4).Draw(t, "bytes")
				at, ok := r.take(n)
				if !ok {
					t.Skip("full")
				}
				b := &block{at: at, data: r.bytes(at, n), holds: 1}
				mark := byte(len(blocks) + 1)
				for i := range b.data {
					b.data[i] = mark
				}
				blocks = append(blocks, b)
			},
			"hold": func(t *rapid.T) {
				if len(blocks) == 0 {
					t.Skip("none")
				}
				b := rapid.SampledFrom(blocks).Draw(t, "block")
				from := rapid.IntRange(0, len(b.data)-1).Draw(t, "from")
				at, ok := r.hold(b.data[from:])
				if !ok || at != b.at+int64(from) {
					t.Fatalf("got %d, %v, want %d", at, ok, b.at+int64(from))
				}
				b.holds++
			},
			"drop": func(t *rapid.T) {
				if len(blocks) == 0 {
					t.Skip("none")
				}
				i := rapid.IntRange(0, len(blocks)-1).Draw(t, "block")
				b := blocks[i]
				for _, v := range b.data {
					if v != b.data[0] {
						t.Fatal("another block was written here")
					}
				}
				r.drop(b.at)
				if b.holds--; b.holds == 0 {
					blocks = append(blocks[:i], blocks[i+1:]...)
				}
			},
			"trim": func(*rapid.T) { r.trim() },
		})
		for _, b := range blocks {
			for range b.holds {
				r.drop(b.at)
			}
		}
		if used := r.usedBytes(); used != 0 {
			t.Fatalf("%d bytes are held", used)
		}
		if _, ok := r.take(size); !ok {
			t.Fatal("the whole is not there again")
		}
		r.drop(0)
	})
}

// A worker may write anything: its reply is an error, or outputs that fit their sizes.
func FuzzReadReply(f *testing.F) {
	good := make([]uint64, 16)
	writeReply(good, []part{{dtype: runners.FP32, how: placed, shape: []int64{2, 3}, size: 24}}, false)
	f.Add(bytesOf(good), 1)
	bad := make([]uint64, 64)
	writeFault(bad, errMessage)
	f.Add(bytesOf(bad), 1)
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 255, 255, 255, 255}, 1)
	f.Fuzz(func(t *testing.T, data []byte, outputs int) {
		words := make([]uint64, len(data)/8)
		copy(bytesOf(words), data)
		var r reply
		if err := readReply(words, outputs&7, &r); err != nil || r.err != nil {
			return
		}
		for _, p := range r.parts {
			n, ok := runners.Elements(p.shape)
			if !ok || p.size < 0 || p.dtype != runners.BYTES && n*int64(p.dtype.Size()) != p.size {
				t.Fatalf("an output of %v %v in %d bytes", p.dtype, p.shape, p.size)
			}
		}
	})
}
