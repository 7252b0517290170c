package worker

import (
	"fmt"
	"math/bits"
	"os"
	"slices"
	"sync"
	"unsafe"

	"github.com/tandem-serve/tandem/runners"
)

const (
	pageBits = 12 // of the smallest block
	page     = 1 << pageBits
	// trimFrom is the smallest free block whose memory is given back.
	trimFrom = 64 << 10
)

// States of a block, kept for its first page: its order, and how many hold it, which is none for a free one.
const (
	refsBits = 24
	refsMask = 1<<refsBits - 1
	isBlock  = 1 << 31
)

// pageStates are the states of the pages of a region. Most regions use few of their pages, so that there are states only where
// there was a block.
type pageStates struct {
	n     int
	parts [][]uint32 // partPages each, nil where all are 0
}

// partPages is how many states are made at once.
const partPages = 1024

func (s *pageStates) get(i uint32) uint32 {
	if part := s.parts[i/partPages]; part != nil {
		return part[i%partPages]
	}
	return 0
}

func (s *pageStates) set(i, v uint32) {
	part := &s.parts[i/partPages]
	if *part == nil {
		*part = make([]uint32, partPages)
	}
	(*part)[i%partPages] = v
}

// region is the memory that one tenant's worker shares with this process, handed out in blocks of a power of two of pages.
// Only this side decides what lies where; the worker sees addresses, never the books. The memory is touched, and so costs
// something, only where it is used.
//
// It outlives its worker: tensors that lie in it stay what they are until they are released. close unmaps it when the last
// block is back.
type region struct {
	file *os.File
	mem  []byte
	base uintptr

	mu     sync.Mutex // mu guards the following
	free   [][]uint32 // by order: first pages of free blocks
	state  pageStates
	used   int64 // bytes of blocks that are held
	most   int64 // the most that used was since the last trim
	closed bool
}

// newRegion makes a region of size bytes, rounded up to a power of two.
func newRegion(size int64) (*region, error) {
	pages := uint64(size+page-1) >> pageBits
	order := bits.Len64(max(pages, 1) - 1)
	file, mem, err := shareMemory(int64(page) << order)
	if err != nil {
		return nil, fmt.Errorf("%w: shared memory of %d MiB: %w", runners.ErrUnavailable, size>>20, err)
	}
	r := &region{file: file, mem: mem, base: uintptr(unsafe.Pointer(&mem[0])), free: make([][]uint32, order+1), state: pageStates{n: 1 << order, parts: make([][]uint32, (1<<order+partPages-1)/partPages)}}
	r.addLocked(0, order)
	return r, nil
}

// addLocked notes a free block.
func (r *region) addLocked(first uint32, order int) {
	r.state.set(first, isBlock|uint32(order)<<refsBits)
	r.free[order] = append(r.free[order], first)
}

// take returns the offset of a block of at least size bytes, held once; ok is false when there is no room.
func (r *region) take(size int) (offset int64, ok bool) {
	pages := max(uint64(size+page-1)>>pageBits, 1)
	order := bits.Len64(pages - 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || order >= len(r.free) {
		return 0, false
	}
	first, ok := r.splitLocked(order)
	if !ok {
		r.mergeLocked()
		if first, ok = r.splitLocked(order); !ok {
			return 0, false
		}
	}
	r.state.set(first, isBlock|uint32(order)<<refsBits|1)
	r.used += page << order
	r.most = max(r.most, r.used)
	return int64(first) << pageBits, true
}

// splitLocked takes a free block of the order out, a part of a larger one if need be.
func (r *region) splitLocked(order int) (first uint32, ok bool) {
	from := order
	for from < len(r.free) && len(r.free[from]) == 0 {
		from++
	}
	if from == len(r.free) {
		return 0, false
	}
	list := r.free[from]
	first = list[len(list)-1]
	r.free[from] = list[:len(list)-1]
	for from > order {
		from--
		r.addLocked(first+1<<from, from)
	}
	return first, true
}

// mergeLocked joins free blocks that are halves of one.
func (r *region) mergeLocked() {
	for order := range len(r.free) - 1 {
		list := r.free[order]
		slices.Sort(list)
		kept := list[:0]
		for i := 0; i < len(list); i++ {
			half := uint32(1) << order
			if list[i]&half == 0 && i+1 < len(list) && list[i+1] == list[i]+half {
				r.state.set(list[i+1], 0)
				r.addLocked(list[i], order+1)
				i++
				continue
			}
			kept = append(kept, list[i])
		}
		r.free[order] = kept
	}
}

// holdLocked returns the first page of the block that the offset lies in, when somebody holds it.
func (r *region) findLocked(offset int64) (first uint32, ok bool) {
	at := uint32(offset >> pageBits)
	for order := range r.free {
		first = at &^ (1<<order - 1)
		s := r.state.get(first)
		if s&isBlock != 0 && int(s&^isBlock>>refsBits) >= order {
			return first, s&refsMask > 0
		}
	}
	return 0, false
}

// hold returns where data lies in the region and holds its block once more; ok is false when data lies elsewhere.
func (r *region) hold(data []byte) (offset int64, ok bool) {
	if len(data) == 0 {
		return 0, false
	}
	at := uintptr(unsafe.Pointer(&data[0]))
	if at < r.base || at-r.base > uintptr(len(r.mem)-len(data)) {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first, ok := r.findLocked(int64(at - r.base))
	if !ok {
		return 0, false
	}
	r.state.set(first, r.state.get(first)+1)
	return int64(at - r.base), true
}

// drop gives one hold of the block at offset back.
func (r *region) drop(offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, ok := r.findLocked(offset)
	if !ok {
		return
	}
	s := r.state.get(first) - 1
	r.state.set(first, s)
	if s&refsMask > 0 {
		return
	}
	order := int(s &^ isBlock >> refsBits)
	r.used -= page << order
	r.addLocked(first, order)
	r.unmapLocked()
}

// bytes returns size bytes from offset on.
func (r *region) bytes(offset int64, size int) []byte {
	return r.mem[offset : offset+int64(size) : offset+int64(size)]
}

// trim gives the memory of free blocks back to the system.
func (r *region) trim() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.most == r.used {
		return
	}
	r.mergeLocked()
	for order, list := range r.free {
		if page<<order < trimFrom {
			continue
		}
		for _, first := range list {
			forget(r.file, r.mem, int64(first)<<pageBits, page<<order)
		}
	}
	r.most = r.used
}

// usedBytes returns what is held.
func (r *region) usedBytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// close unmaps the region as soon as nothing of it is held.
func (r *region) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.unmapLocked()
}

func (r *region) unmapLocked() {
	if !r.closed || r.used > 0 || r.mem == nil {
		return
	}
	unshareMemory(r.file, r.mem)
	r.mem = nil
}
