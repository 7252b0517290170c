package onnx

import (
	"math"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tandem-serve/tandem/runners"
)

// node checks a NodeProto at the depth of its graph.
func (c *checker) node(b []byte, depth int) {
	c.meta.Nodes++
	if c.meta.Nodes > c.limits.MaxNodes {
		if c.meta.Nodes == c.limits.MaxNodes+1 {
			c.reason("it has more than %d nodes", c.limits.MaxNodes)
		}
		return
	}
	var op, domain []byte
	for f, err := range fields(b) {
		switch {
		case err != nil:
			c.reason("a node is damaged: %v", err)
			return
		case f.is(4):
			op = f.bytes
		case f.is(7):
			domain = f.bytes
		case f.is(5):
			c.attribute(f.bytes, depth)
		}
	}
	c.operator(op, domain)
}

func (c *checker) operator(op, domain []byte) {
	name := clip(op)
	if d := string(domain); d != "" && d != "ai.onnx" {
		name = clip(domain) + "." + name
	}
	// A model cannot make this map grow without bound: what is counted is known operators and a few others.
	if _, counted := c.meta.Operators[name]; counted || len(c.meta.Operators) < 1024 {
		c.meta.Operators[name]++
	}
	switch {
	case len(op) == 0:
		c.reason("a node has no operator")
	case !c.knownDomain(string(domain)):
		if c.meta.Operators[name] == 1 {
			c.reason("operator %.64q is of the domain %.64q, which is not accepted here", op, domain)
		}
	case string(op) == "EPContext":
		c.reason("operator \"EPContext\" loads code compiled elsewhere and is not accepted")
	}
}

func (c *checker) knownDomain(domain string) bool {
	switch domain {
	case "", "ai.onnx", "ai.onnx.ml", "com.microsoft":
		return true
	}
	return c.domains[domain] || slices.Contains(c.limits.Domains, domain)
}

// attribute checks the tensors and graphs of an AttributeProto.
func (c *checker) attribute(b []byte, depth int) {
	for f, err := range fields(b) {
		switch {
		case err != nil:
			c.reason("a node's attribute is damaged: %v", err)
		case f.is(5), f.is(10):
			c.tensor(f.bytes, "constant")
		case f.is(6), f.is(11):
			c.graph(f.bytes, depth+1)
		case f.is(22), f.is(23):
			c.sparse(f.bytes)
		}
	}
}

// sparse checks the two tensors of a SparseTensorProto.
func (c *checker) sparse(b []byte) {
	for f, err := range fields(b) {
		switch {
		case err != nil:
			c.reason("a sparse weight is damaged: %v", err)
		case f.is(1), f.is(2):
			c.tensor(f.bytes, "sparse weight")
		}
	}
}

// tensorProto is what a TensorProto says; given counts the elements that stand in it, raw the bytes if they stand there raw.
type tensorProto struct {
	name     string
	dtype    uint64
	elements int64
	sized    bool // elements did not overflow
	raw      int64
	given    int64
	location string
	external bool
}

// tensor checks that a TensorProto's data is inside the file and as long as its shape says: a mismatch there has been a
// way into native libraries.
func (c *checker) tensor(b []byte, what string) {
	t := tensorProto{elements: 1, sized: true, raw: -1}
	for f, err := range fields(b) {
		if err != nil {
			c.reason("a %s is damaged: %v", what, err)
			return
		}
		t.set(f)
	}
	if e, ok := elementOf(t.dtype); ok && t.sized {
		c.meta.WeightBytes += max(e.bytes(t.elements), t.raw, 0)
	}
	switch {
	case t.external:
		c.external(t, what)
	case !t.sized:
		c.reason("%s %.64q has an impossible shape", what, t.name)
	default:
		c.length(t, what)
	}
}

func (t *tensorProto) set(f field) {
	switch {
	case f.isInt(1):
		t.dim(f.value)
	case f.is(1):
		for dims := f.bytes; len(dims) > 0; {
			v, n := protowire.ConsumeVarint(dims)
			if n < 0 {
				t.sized = false
				return
			}
			t.dim(v)
			dims = dims[n:]
		}
	case f.isInt(2):
		t.dtype = f.value
	case f.is(8):
		t.name = clip(f.bytes)
	case f.is(9):
		t.raw = int64(len(f.bytes))
	case f.is(13):
		t.external = true
		if loc, ok := entry(f.bytes)["location"]; ok {
			t.location = loc
		}
	case f.isInt(14):
		t.external = t.external || f.value == 1
	default:
		t.given += typedElements(f)
	}
}

// dim multiplies one dimension in.
func (t *tensorProto) dim(v uint64) {
	d := int64(v)
	if d < 0 || d > 0 && t.elements > math.MaxInt64/d {
		t.sized = false
		return
	}
	t.elements *= d
}

// typedElements counts the numbers or strings of a TensorProto's typed data fields.
func typedElements(f field) int64 {
	switch int(f.num) {
	case 4: // float_data
		return f.packed(4)
	case 10: // double_data
		return f.packed(8)
	case 5, 7, 11: // int32_data, int64_data, uint64_data
		return f.packed(0)
	case 6: // string_data
		return 1
	}
	return 0
}

func (c *checker) external(t tensorProto, what string) {
	switch loc := filepath.ToSlash(strings.ReplaceAll(t.location, `\`, "/")); {
	case strings.HasPrefix(loc, "/"), strings.Contains(loc, ":"), slices.Contains(strings.Split(loc, "/"), ".."):
		c.reason("%s %.64q has its data in %.128q, outside the model's own folder: that is never read", what, t.name, t.location)
	default:
		c.reason("%s %.64q has its data in another file, %.128q: save the model in one file", what, t.name, t.location)
	}
}

// length compares the data that a tensor carries with its shape.
func (c *checker) length(t tensorProto, what string) {
	e, ok := elementOf(t.dtype)
	if !ok {
		c.reason("%s %.64q is of the unknown data type %d", what, t.name, t.dtype)
		return
	}
	if t.raw >= 0 {
		if want := e.bytes(t.elements); want != t.raw {
			c.reason("%s %.64q has %d elements of %d bits in %d bytes", what, t.name, t.elements, e.bits, t.raw)
		}
		return
	}
	if want := e.entries(t.elements); want != t.given {
		c.reason("%s %.64q has a shape of %d elements, but data of %d", what, t.name, t.elements, t.given)
	}
}

// element says how one element of a data type stands in a TensorProto: in so many bits of its raw data (0: never raw), and
// as so many numbers of its typed data (0: by the byte, several elements in each).
type element struct {
	bits, numbers int64
}

// bytes returns the raw bytes of n elements, -1 when there is no such thing.
func (e element) bytes(n int64) int64 {
	if e.bits == 0 || n > (math.MaxInt64-7)/e.bits {
		return -1
	}
	return (n*e.bits + 7) / 8
}

// entries returns the typed numbers or strings of n elements, -1 when there is no such thing.
func (e element) entries(n int64) int64 {
	switch {
	case e.numbers == 0:
		return e.bytes(n)
	case n > math.MaxInt64/e.numbers:
		return -1
	}
	return n * e.numbers
}

// elementOf returns how elements of a TensorProto.DataType stand in the file.
func elementOf(dtype uint64) (e element, ok bool) {
	switch dtype {
	case uint64(runners.BYTES):
		return element{0, 1}, true
	case 14: // COMPLEX64
		return element{64, 2}, true
	case 15: // COMPLEX128
		return element{128, 2}, true
	case 17, 18, 19, 20, 24: // the 8-bit floats
		return element{8, 1}, true
	case 21, 22, 23: // INT4, UINT4, FLOAT4E2M1
		return element{4, 0}, true
	case 25, 26: // UINT2, INT2
		return element{2, 0}, true
	}
	if dtype > math.MaxUint8 || !runners.DType(dtype).Valid() {
		return e, false
	}
	return element{int64(runners.DType(dtype).Size()) * 8, 1}, true
}
