package api

import (
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// The functions below are for programs that run a part of the server by themselves.

// ParseLiteral reads what somebody typed, or a file's content, as a call of a graph reads its inputs.
func ParseLiteral(t graph.Type, data []byte) (value.Value, error) { return literalFrom(t, data) }

// WireValue writes a value as the answer of a call does.
func WireValue(v value.Value, enc tandemv1.TensorEncoding) (*tandemv1.Value, error) {
	return valueTo(v, enc)
}
