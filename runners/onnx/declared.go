package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tandem-serve/tandem/runners"
)

// Declared returns the signature that a model's file declares, for a file that [Check] accepts. It needs neither cgo nor the
// library; a loaded model's own signature may know more, since ONNX Runtime works out what the file leaves open. Ports that no
// runner can carry are an error that wraps runners.ErrModel and gives every reason; the signature has the others.
func Declared(model []byte) (runners.Signature, error) {
	graph, ok := submessage(model, 7)
	if !ok {
		return runners.Signature{}, fmt.Errorf("%w: it has no graph", runners.ErrModel)
	}
	// Old files list their weights among the inputs too.
	weights := map[string]bool{}
	for f := range sound(graph) {
		if f.is(5) {
			weights[textOf(f.bytes, 8)] = true
		}
	}
	var s runners.Signature
	var faults []error
	for f := range sound(graph) {
		switch {
		case f.is(11) && !weights[textOf(f.bytes, 1)]:
			port, err := declaredPort(f.bytes)
			if err == nil && port.JSON {
				err = errJSONInput
			}
			s.Inputs = append(s.Inputs, port)
			faults = append(faults, named("input", port.Name, err))
		case f.is(12):
			port, err := declaredPort(f.bytes)
			s.Outputs = append(s.Outputs, port)
			faults = append(faults, named("output", port.Name, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return s, fmt.Errorf("%w: %w", runners.ErrModel, err)
	}
	return s, nil
}

var errJSONInput = errors.New("sequences and maps cannot be given to a model")

// named says which port an error is about.
func named(side, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", side, name, err)
}

// textOf returns the text in a field of the message b.
func textOf(b []byte, num protowire.Number) string {
	text, _ := submessage(b, num)
	return string(text)
}

// declaredPort reads a ValueInfoProto.
func declaredPort(b []byte) (runners.Port, error) {
	port := runners.Port{Name: textOf(b, 1)}
	typ, _ := submessage(b, 2)
	for f := range sound(typ) {
		switch {
		case f.is(1):
			return declaredTensor(port, f.bytes)
		case f.is(4), f.is(5):
			return runners.Port{Name: port.Name, DType: runners.BYTES, Dims: []runners.Dim{}, JSON: true}, nil
		case f.is(8), f.is(9):
			return port, fmt.Errorf("it is %s: only tensors, sequences and maps are carried",
				map[bool]string{true: "a sparse tensor", false: "optional"}[f.is(8)])
		}
	}
	return port, nil // ONNX Runtime infers it
}

// declaredTensor reads a TypeProto.Tensor.
func declaredTensor(port runners.Port, b []byte) (runners.Port, error) {
	for f := range sound(b) {
		switch {
		case f.isInt(1):
			if f.value > 255 || !runners.DType(f.value).Valid() {
				return port, fmt.Errorf("its elements are of the data type %d, which is not carried", f.value)
			}
			port.DType = runners.DType(f.value)
		case f.is(2):
			port.Dims = []runners.Dim{}
			for g := range sound(f.bytes) {
				if g.is(1) {
					port.Dims = append(port.Dims, declaredDim(g.bytes))
				}
			}
		}
	}
	return port, nil
}

// declaredDim reads a TensorShapeProto.Dimension.
func declaredDim(b []byte) runners.Dim {
	d := runners.Dim{Size: -1}
	for f := range sound(b) {
		switch {
		case f.isInt(1) && int64(f.value) >= 0:
			d = runners.Dim{Size: int64(f.value)}
		case f.is(2):
			d = runners.Dim{Size: -1, Name: clip(f.bytes)}
		}
	}
	return d
}
