package batch

import (
	"fmt"
	"sync/atomic"

	"github.com/tandem-serve/tandem/runners"
)

// checkRows returns why a run of rows rows cannot be parted: an output has not one row for each.
func checkRows(ports []runners.Port, out []runners.Tensor, rows int) error {
	for i := range out {
		if len(out[i].Shape) == 0 || out[i].Shape[0] != int64(rows) {
			return fmt.Errorf("output %q has the shape %v for a batch of %d rows: the model does not keep rows apart",
				ports[i].Name, out[i].Shape, rows)
		}
	}
	return nil
}

// shared is the outputs of a run, of which several members hold parts.
type shared struct {
	out  []runners.Tensor
	refs atomic.Int64
}

// share takes the outputs over; drop gives back the share of whoever called it.
func share(out []runners.Tensor) *shared {
	s := &shared{out: out}
	s.refs.Store(1)
	return s
}

func (s *shared) drop() {
	if s.refs.Add(-1) == 0 {
		for i := range s.out {
			s.out[i].Release()
		}
	}
}

// part returns rows rows of output i from row from on. It has to be released, but strings are its own.
func (s *shared) part(i, from, rows int) runners.Tensor {
	t := rowsOfTensor(&s.out[i], from, rows)
	if t.DType == runners.BYTES {
		return t
	}
	s.refs.Add(1)
	return runners.Adopted(t.DType, t.Shape, t.Data, s.drop)
}

// deliver hands rows rows from row from on over to out and returns the bytes it copied. When one output does not fit its
// memory, none is handed over.
func (s *shared) deliver(ports []runners.Port, out []runners.Tensor, from, rows int) (copied uint64, err error) {
	handed := make([]bool, len(out))
	for i := range out {
		p := s.part(i, from, rows)
		handed[i] = out[i].Data == nil
		if !handed[i] || p.DType == runners.BYTES {
			copied += uint64(len(p.Data))
		}
		if err := out[i].Deliver(p); err != nil {
			for j := range i {
				if handed[j] {
					out[j].Release()
				}
			}
			return copied, fmt.Errorf("output %q: %w", ports[i].Name, err)
		}
	}
	return copied, nil
}
