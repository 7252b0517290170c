package sandbox

import "testing"

// The pages of a large memory are all gone before it is unmapped, those at its end too.
func TestLargeMemoryIsEmptiedBeforeItIsUnmapped(t *testing.T) {
	const size = 2*pieceSize + 3*wasmPageSize
	m, err := reserve(size, purse{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	for _, wanted := range []uint64{wasmPageSize, size} {
		mem := m.Reallocate(wanted)
		for at := 0; at < len(mem); at += pageSize {
			mem[at] = 1
		}
		m.empty()
		kept := 0
		for at := 0; at < len(mem); at += pageSize {
			kept += int(mem[at])
		}
		if small := wanted <= pieceSize; small && kept != len(mem)/pageSize || !small && kept > 0 {
			t.Errorf("of %d bytes %d pages are left", wanted, kept)
		}
	}
}
