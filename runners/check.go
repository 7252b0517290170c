package runners

import (
	"fmt"
	"slices"
)

// CheckInputs compares the tensors of a run with the signature and with themselves. Errors wrap ErrShape and name the port,
// what was expected and what was found.
func (s Signature) CheckInputs(in []Tensor) error {
	if len(in) != len(s.Inputs) {
		return fmt.Errorf("%w: the model takes %d inputs, got %d", ErrShape, len(s.Inputs), len(in))
	}
	for i := range in {
		err := s.Inputs[i].fits(&in[i])
		if err == nil {
			err = in[i].Check()
		}
		if err != nil {
			return fmt.Errorf("input %q: %w", s.Inputs[i].Name, err)
		}
	}
	return nil
}

// CheckOutputs does the same for the outputs of a run that have memory of the caller's; what stands in it does not matter.
// The others only have to be as many as the signature says.
func (s Signature) CheckOutputs(out []Tensor) error {
	if len(out) != len(s.Outputs) {
		return fmt.Errorf("%w: the model gives %d outputs, got room for %d", ErrShape, len(s.Outputs), len(out))
	}
	for i := range out {
		if out[i].Data == nil {
			continue
		}
		err := s.Outputs[i].fits(&out[i])
		if err == nil && out[i].DType != BYTES {
			err = out[i].Check()
		}
		if err != nil {
			return fmt.Errorf("output %q: %w", s.Outputs[i].Name, err)
		}
	}
	return nil
}

// fits compares dtype, rank and fixed dimensions.
func (p *Port) fits(t *Tensor) error {
	if t.DType != p.DType {
		return fmt.Errorf("%w: want %s, got %s", ErrShape, p.DType, t.DType)
	}
	if p.Dims == nil {
		return nil
	}
	if len(t.Shape) != len(p.Dims) {
		return fmt.Errorf("%w: want shape %s, got %v: %d dimensions, not %d", ErrShape, shapeText(p.Dims), t.Shape, len(p.Dims), len(t.Shape))
	}
	for i, d := range p.Dims {
		if d.Size >= 0 && d.Size != t.Shape[i] {
			return fmt.Errorf("%w: want shape %s, got %v: dimension %d is not %d", ErrShape, shapeText(p.Dims), t.Shape, i, d.Size)
		}
	}
	return nil
}

// shapeText writes dims as a shape is written, [batch 3 ?].
func shapeText(dims []Dim) string {
	text := []byte{'['}
	for i, d := range dims {
		if i > 0 {
			text = append(text, ' ')
		}
		switch {
		case d.Size >= 0:
			text = fmt.Appendf(text, "%d", d.Size)
		case d.Name != "":
			text = append(text, d.Name...)
		default:
			text = append(text, '?')
		}
	}
	return string(append(text, ']'))
}

// Deliver hands got over to the caller of a run through t, one of the run's outputs: as it is when t has no memory, else
// copied into t's, in which case got is released. When got is not of t's dtype, shape and length, it is released too and the
// error wraps ErrShape. Runners use it for outputs that they do not write in place.
func (t *Tensor) Deliver(got Tensor) error {
	if t.Data == nil {
		*t = got
		return nil
	}
	defer got.Release()
	if t.DType != got.DType || !slices.Equal(t.Shape, got.Shape) || len(t.Data) != len(got.Data) {
		return fmt.Errorf("%w: the model gave %s %v in %d bytes, the room is for %s %v in %d bytes", ErrShape,
			got.DType, got.Shape, len(got.Data), t.DType, t.Shape, len(t.Data))
	}
	copy(t.Data, got.Data)
	return nil
}
