package batch

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tandem-serve/tandem/internal/pieces"
	"github.com/tandem-serve/tandem/runners"
)

// buffer is memory that batches are gathered into: the runner's own where it has such, else used again for the next.
type buffer struct {
	data  []byte
	inner runners.Tensor // the runner's
}

// buffer returns one with room for n bytes.
func (b *Batcher) buffer(n int) (*buffer, error) {
	f, ok := b.buffers.Get().(*buffer)
	if !ok {
		f = new(buffer)
	}
	if b.memory == nil {
		return f, nil
	}
	var err error
	f.inner, err = b.memory.Alloc(n)
	return f, err
}

func (f *buffer) room(n int) []byte {
	if f.inner.Data != nil {
		return f.inner.Data
	}
	if cap(f.data) < n {
		f.data = make([]byte, n+n/4)
	}
	return f.data[:n]
}

// load is what a run of several members takes: their rows one after the other.
type load struct {
	in      []runners.Tensor
	buffers []*buffer
	rows    int
	bytes   uint64
}

// gather copies the rows of all members into one tensor for each input. What it returns has to be put back even when it
// fails.
func (b *Batcher) gather(members []*member) (load, error) {
	var l load
	for _, m := range members {
		l.rows += m.rows
	}
	parts := make([]*runners.Tensor, len(members))
	for i := range members[0].in {
		total := 0
		for j, m := range members {
			parts[j] = &m.in[i]
			total += len(m.in[i].Data)
		}
		f, err := b.buffer(total)
		if err != nil {
			return l, err
		}
		l.buffers = append(l.buffers, f)
		data, err := join(f.room(total), parts)
		if err != nil {
			return l, fmt.Errorf("input %q: %w", b.inner.Signature().Inputs[i].Name, err)
		}
		shape := append([]int64{int64(l.rows)}, parts[0].Shape[1:]...)
		l.in = append(l.in, runners.Tensor{DType: parts[0].DType, Shape: shape, Data: data})
		l.bytes += uint64(len(data))
	}
	return l, nil
}

func (b *Batcher) putBack(l load) {
	for _, f := range l.buffers {
		f.inner.Release()
		b.buffers.Put(f)
	}
}

func bytesOf(ts []runners.Tensor) (n uint64) {
	for i := range ts {
		n += uint64(len(ts[i].Data))
	}
	return n
}

// join copies the data of parts, of one dtype, into room, which is as long as all of it together.
func join(room []byte, parts []*runners.Tensor) ([]byte, error) {
	if parts[0].DType == runners.BYTES {
		return joinStrings(room, parts)
	}
	at := 0
	for _, p := range parts {
		at += pieces.Copy(room[at:], p.Data)
	}
	return room, nil
}

// joinStrings moves the offsets of each part behind those before it.
func joinStrings(room []byte, parts []*runners.Tensor) ([]byte, error) {
	elements := int64(0)
	for _, p := range parts {
		n, _ := runners.Elements(p.Shape) // it was checked
		elements += n
	}
	head := 4 * (elements + 1)
	length := int64(len(room)) - 4*int64(len(parts)-1) // each part had one offset more than elements
	if length-head > math.MaxUint32 {
		return nil, fmt.Errorf("%w: %d bytes of strings together", runners.ErrShape, length-head)
	}
	le := binary.LittleEndian
	at, body := int64(0), uint32(0)
	le.PutUint32(room, 0)
	for _, p := range parts {
		n, _ := runners.Elements(p.Shape)
		for i := range n {
			at++
			le.PutUint32(room[4*at:], body+le.Uint32(p.Data[4*(i+1):]))
		}
		body += uint32(pieces.Copy(room[head+int64(body):], p.Data[4*(n+1):]))
	}
	return room[:length], nil
}

// rowsOfTensor returns rows rows of t from row from on: over t's memory, but strings in memory of their own, for their
// offsets have to begin at 0.
func rowsOfTensor(t *runners.Tensor, from, rows int) runners.Tensor {
	shape := append([]int64{int64(rows)}, t.Shape[1:]...)
	each, _ := runners.Elements(t.Shape[1:])
	first, last := int64(from)*each, int64(from+rows)*each
	if t.DType != runners.BYTES {
		size := int64(t.DType.Size())
		return runners.Tensor{DType: t.DType, Shape: shape, Data: t.Data[first*size : last*size : last*size]}
	}
	le := binary.LittleEndian
	all, _ := runners.Elements(t.Shape)
	body := t.Data[4*(all+1):]
	begin, end := le.Uint32(t.Data[4*first:]), le.Uint32(t.Data[4*last:])
	data := make([]byte, 4*(last-first+1), 4*(last-first+1)+int64(end-begin))
	for i := first; i <= last; i++ {
		le.PutUint32(data[4*(i-first):], le.Uint32(t.Data[4*i:])-begin)
	}
	return runners.Tensor{DType: t.DType, Shape: shape, Data: append(data, body[begin:end]...)}
}
