package wasmbin

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func TestReaderIntegers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []byte
		read func(*reader) int64
		want int64
		fail bool
	}{
		{"u32 one byte", []byte{0x7f}, readU32, 127, false},
		{"u32 padded", []byte{0x80, 0x80, 0x80, 0x80, 0x00}, readU32, 0, false},
		{"u32 largest", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, readU32, 0xffffffff, false},
		{"u32 unused bits set", []byte{0xff, 0xff, 0xff, 0xff, 0x1f}, readU32, 0, true},
		{"u32 six bytes", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, readU32, 0, true},
		{"u32 truncated", []byte{0x80}, readU32, 0, true},
		{"s32 minus one", []byte{0x7f}, readS32, -1, false},
		{"s32 padded minus one", []byte{0xff, 0xff, 0xff, 0xff, 0x7f}, readS32, -1, false},
		{"s32 smallest", []byte{0x80, 0x80, 0x80, 0x80, 0x78}, readS32, -1 << 31, false},
		{"s32 unused bits differ from sign", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, readS32, 0, true},
		{"s32 overflow", []byte{0x80, 0x80, 0x80, 0x80, 0x70}, readS32, 0, true},
		{"s33 largest", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, readS33, 1<<32 - 1, false},
		{"s64 smallest", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}, readS64, -1 << 63, false},
		{"s64 largest", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00}, readS64, 1<<63 - 1, false},
		{"s64 unused bits", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, readS64, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newReader(tt.in, 0, len(tt.in))
			got := tt.read(&r)
			if (r.err != nil) != tt.fail {
				t.Fatalf("error: got %v, want error %v", r.err, tt.fail)
			}
			if !tt.fail && got != tt.want {
				t.Fatalf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func readU32(r *reader) int64 { return int64(r.u32()) }
func readS32(r *reader) int64 { return int64(r.s32()) }
func readS33(r *reader) int64 { return r.s33() }
func readS64(r *reader) int64 { return r.s64() }

func TestReaderRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint32().Draw(t, "u")
		s := rapid.Int64().Draw(t, "s")
		b := binary.AppendUvarint(nil, uint64(u))
		b = appendS64(b, s)
		b = appendS64(b, int64(int32(u)))
		r := newReader(b, 0, len(b))
		if got := r.u32(); got != u {
			t.Fatalf("u32: got %d, want %d", got, u)
		}
		if got := r.s64(); got != s {
			t.Fatalf("s64: got %d, want %d", got, s)
		}
		if got := r.s32(); got != int32(u) {
			t.Fatalf("s32: got %d, want %d", got, int32(u))
		}
		if r.err != nil || r.more() {
			t.Fatalf("error %v, %d bytes left", r.err, r.remaining())
		}
	})
}

func TestReaderStaysFailed(t *testing.T) {
	t.Parallel()
	b := []byte{1, 2, 3}
	r := newReader(b, 0, len(b))
	r.take(4)
	if r.err == nil || r.more() || r.byte() != 0 || r.u32() != 0 {
		t.Fatalf("reader goes on after a failure: %+v", r)
	}
	if got := r.err.Offset; got != 0 {
		t.Fatalf("offset: got %d, want that of the first failure, 0", got)
	}
}
