package onnx

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tandem-serve/tandem/runners"
)

// Limits bound what [Check] and Load accept. The zero value means the defaults.
type Limits struct {
	// MaxBytes is the largest model file. Default and maximum: 2 GiB - 1, protobuf's own limit.
	MaxBytes int64
	// MaxNodes bounds the nodes of the main graph, its subgraphs and functions together. Default 1,000,000.
	MaxNodes int
	// MaxDepth bounds how deep graphs nest in If, Loop and Scan. Default 16.
	MaxDepth int
	// Domains lists operator domains accepted beside "ai.onnx", "ai.onnx.ml", "com.microsoft" and those of the model's own
	// functions.
	Domains []string
}

const (
	defaultMaxBytes = 1<<31 - 1
	defaultMaxNodes = 1_000_000
	defaultMaxDepth = 16
	maxReasons      = 16
)

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 || l.MaxBytes > defaultMaxBytes {
		l.MaxBytes = defaultMaxBytes
	}
	if l.MaxNodes <= 0 {
		l.MaxNodes = defaultMaxNodes
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = defaultMaxDepth
	}
	return l
}

// Check looks at a model's bytes before the native library sees them: that they are a whole ONNX model, in one file, of a
// known opset, with operators of known domains only, weights as long as their shapes say, and within the limits. It needs
// neither cgo nor the library. The error wraps runners.ErrModel and gives every reason found, at most 16.
func Check(model []byte, limits Limits) error {
	_, err := Inspect(model, limits)
	return err
}

// Inspect does what [Check] does and returns what the file says of itself, as far as it could be read.
func Inspect(model []byte, limits Limits) (Metadata, error) {
	c := checker{limits: limits.withDefaults(), domains: map[string]bool{}}
	c.meta.Bytes = int64(len(model))
	c.meta.Opsets = map[string]int64{}
	c.meta.Operators = map[string]int{}
	c.model(model)
	return c.meta, c.err()
}

// checker walks a model once and collects reasons against it.
type checker struct {
	limits  Limits
	meta    Metadata
	domains map[string]bool // of the model's own functions
	reasons []string
	more    int // reasons beyond maxReasons
}

func (c *checker) reason(format string, args ...any) {
	if len(c.reasons) == maxReasons {
		c.more++
		return
	}
	c.reasons = append(c.reasons, fmt.Sprintf(format, args...))
}

func (c *checker) err() error {
	if len(c.reasons) == 0 {
		return nil
	}
	text := strings.Join(c.reasons, "; ")
	if c.more > 0 {
		text += fmt.Sprintf("; and %d more", c.more)
	}
	return fmt.Errorf("%w: %s", runners.ErrModel, text)
}

// model checks a ModelProto. Field numbers here and below are those of onnx.proto.
func (c *checker) model(b []byte) {
	if int64(len(b)) > c.limits.MaxBytes {
		c.reason("the file has %d bytes, at most %d are accepted", len(b), c.limits.MaxBytes)
		return
	}
	if len(b) == 0 {
		c.reason("the file is empty")
		return
	}
	if !c.outline(b) {
		return
	}
	graphs := 0
	for f := range sound(b) {
		switch {
		case f.is(7):
			graphs++
			c.graph(f.bytes, 1)
		case f.is(20): // training info: two graphs, which are never run
			c.subgraphs(f.bytes, 1, 2)
		case f.is(25):
			c.function(f.bytes)
		}
	}
	if graphs != 1 {
		c.reason("it has %d graphs, want 1: is this an ONNX model?", graphs)
	}
	c.versions()
}

// outline reads the model's own fields, and the domains of its functions before any node is judged. It returns false when
// the bytes are no protobuf message to the end.
func (c *checker) outline(b []byte) bool {
	read := 0
	for f, err := range fields(b) {
		if err != nil {
			c.notWhole(read, err)
			return false
		}
		read++
		c.meta.set(f)
		if f.is(25) {
			for g := range sound(f.bytes) {
				if g.is(10) {
					c.domains[string(g.bytes)] = true
				}
			}
		}
	}
	return true
}

func (c *checker) notWhole(read int, err error) {
	if read == 0 || c.meta.IRVersion == 0 {
		c.reason("the file is not an ONNX model: %v", err)
		return
	}
	c.reason("the file is damaged or cut off: %v", err)
}

func (c *checker) versions() {
	if c.meta.IRVersion <= 0 {
		c.reason("it states no IR version: is this an ONNX model?")
	}
	if len(c.meta.Opsets) == 0 {
		c.reason("it imports no operator set: is this an ONNX model?")
	}
	for _, domain := range sortedKeys(c.meta.Opsets) {
		newest, known := maxOpset[domain]
		if v := c.meta.Opsets[domain]; v < 1 || known && v > newest {
			c.reason("opset %d of %s is unknown: versions 1 to %d are", v, domainName(domain), newest)
		}
	}
}

// maxOpset holds the newest operator sets of the ONNX Runtime that this project is built for. A domain that is not here may
// be imported as long as no node uses it.
var maxOpset = map[string]int64{"": 26, "ai.onnx": 26, "ai.onnx.ml": 5, "com.microsoft": 1}

func domainName(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return fmt.Sprintf("%.64q", domain)
}

// graph checks a GraphProto; depth is 1 for the main graph.
func (c *checker) graph(b []byte, depth int) {
	if depth > c.limits.MaxDepth {
		c.reason("graphs nest more than %d deep", c.limits.MaxDepth)
		return
	}
	for f, err := range fields(b) {
		switch {
		case err != nil:
			c.reason("a graph is damaged: %v", err)
		case f.is(1):
			c.node(f.bytes, depth)
		case f.is(2) && depth == 1:
			c.meta.GraphName = clip(f.bytes)
		case f.is(5):
			c.tensor(f.bytes, "weight")
		case f.is(15):
			c.sparse(f.bytes)
		case f.is(11):
			c.value(f.bytes)
			c.meta.Dynamic = c.meta.Dynamic || depth == 1 && !fixedShape(f.bytes)
		case f.is(12):
			c.value(f.bytes)
		}
	}
}

// subgraphs checks the graphs that the message b holds in the given fields.
func (c *checker) subgraphs(b []byte, nums ...protowire.Number) {
	for f, err := range fields(b) {
		if err != nil {
			c.reason("training information is damaged: %v", err)
			return
		}
		for _, num := range nums {
			if f.is(num) {
				c.graph(f.bytes, 2)
			}
		}
	}
}

// function checks a FunctionProto, an operator of the model's own.
func (c *checker) function(b []byte) {
	for f, err := range fields(b) {
		switch {
		case err != nil:
			c.reason("a function is damaged: %v", err)
		case f.is(7):
			c.node(f.bytes, 1)
		case f.is(11):
			c.attribute(f.bytes, 1)
		}
	}
}

// value checks the name of a ValueInfoProto, which goes into the model's signature.
func (c *checker) value(b []byte) {
	for f, err := range fields(b) {
		if err != nil {
			c.reason("an input or output is damaged: %v", err)
			return
		}
		if f.is(1) && !validName(f.bytes) {
			c.reason("an input or output is named %.64q, which is not text", f.bytes)
		}
	}
}

// fixedShape reports whether a ValueInfoProto is a tensor of which every dimension has a size.
func fixedShape(b []byte) bool {
	shape, ok := submessage(b, 2, 1, 2) // type, tensor_type, shape
	for f := range sound(shape) {
		if f.is(1) {
			sized := false
			for g := range sound(f.bytes) {
				sized = sized || g.isInt(1)
			}
			ok = ok && sized
		}
	}
	return ok
}

// submessage follows a path of fields down from the message b.
func submessage(b []byte, path ...protowire.Number) (found []byte, ok bool) {
	for _, num := range path {
		ok = false
		for f := range sound(b) {
			if f.is(num) {
				found, ok = f.bytes, true
			}
		}
		if !ok {
			return nil, false
		}
		b = found
	}
	return found, true
}
