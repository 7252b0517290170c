package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Bounds of a description.
const (
	maxDescriptionBytes = 1 << 20
	maxNameBytes        = 64
	maxFunctions        = 256
	maxPorts            = 64
)

// parseDescription decodes and checks what tdm1_describe returned. It reports every fault that it finds.
func parseDescription(doc []byte) (abi.Description, []*function, error) {
	var d abi.Description
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, nil, reject("description", "description: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, nil, reject("description", "description: text follows the JSON document")
	}
	if d.Error != "" {
		return d, nil, reject("description", "description: %s", guestText([]byte(d.Error)))
	}
	c := &descriptionChecker{}
	funcs := c.description(&d)
	if len(c.reasons) > 0 {
		return d, nil, &RejectError{Reasons: c.reasons}
	}
	return d, funcs, nil
}

// descriptionChecker collects the faults of one description.
type descriptionChecker struct {
	reasons []Reason
}

func (c *descriptionChecker) fault(format string, args ...any) {
	c.reasons = append(c.reasons, Reason{Code: "description", Text: "description: " + fmt.Sprintf(format, args...)})
}

func (c *descriptionChecker) name(what, name string) {
	if !validName(name) {
		c.fault("%s %.80q is not a name of 1 to %d letters, digits, '_', '.' and '-' that begins with a letter or '_'", what, name, maxNameBytes)
	}
}

// validName tells whether s may name a plugin, function, port, outcome, stream or metric.
func validName(s string) bool {
	if s == "" || len(s) > maxNameBytes {
		return false
	}
	for i := range len(s) {
		b := s[i]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_'
		if !letter && (i == 0 || !(b >= '0' && b <= '9' || b == '.' || b == '-')) {
			return false
		}
	}
	return true
}

func (c *descriptionChecker) description(d *abi.Description) []*function {
	c.name("plugin name", d.Name)
	if n := len(d.Functions); n == 0 || n > maxFunctions {
		c.fault("%d functions, want 1 to %d", n, maxFunctions)
		return nil
	}
	seen := map[string]bool{}
	funcs := make([]*function, len(d.Functions))
	for i := range d.Functions {
		f := &d.Functions[i]
		c.name("function name", f.Name)
		if seen[f.Name] {
			c.fault("function %q stands twice", f.Name)
		}
		seen[f.Name] = true
		funcs[i] = c.function(uint32(i), f)
	}
	return funcs
}

func (c *descriptionChecker) function(op uint32, f *abi.Function) *function {
	fn := &function{op: op, name: f.Name, outcomes: map[int]string{}}
	where := fmt.Sprintf("function %q", f.Name)
	syms := &symbols{index: map[string]int{}, free: map[string]bool{}}
	syms.collect(f.Inputs)
	syms.collect(f.Outputs)
	fn.in = c.ports(where+" input", f.Inputs, syms)
	fn.out = c.ports(where+" output", f.Outputs, syms)
	fn.symbols = syms.names
	for name, n := range f.Outcomes {
		c.name(where+" outcome", name)
		if n < 1 || n > 255 {
			c.fault("%s outcome %q is %d, want 1 to 255", where, name, n)
		}
		if other, ok := fn.outcomes[n]; ok {
			c.fault("%s outcomes %q and %q are both %d", where, min(name, other), max(name, other), n)
		}
		fn.outcomes[n] = name
	}
	if len(f.With) > 0 {
		schema, err := compileSchema(f.With)
		if err != nil {
			c.fault("%s with: %v", where, err)
		}
		fn.with = schema
	}
	return fn
}

func (c *descriptionChecker) ports(where string, ports []abi.Port, syms *symbols) []port {
	if len(ports) > maxPorts {
		c.fault("%s: %d ports, want at most %d", where, len(ports), maxPorts)
		return nil
	}
	seen := map[string]bool{}
	out := make([]port, len(ports))
	for i := range ports {
		p := &ports[i]
		c.name(where, p.Name)
		if seen[p.Name] {
			c.fault("%s %q stands twice", where, p.Name)
		}
		seen[p.Name] = true
		out[i] = c.port(fmt.Sprintf("%s %q", where, p.Name), p, syms)
	}
	return out
}

func (c *descriptionChecker) port(where string, p *abi.Port, syms *symbols) port {
	out := port{name: p.Name, optional: p.Optional, list: p.List, anyShape: p.Shape == nil}
	var ok bool
	if out.kind, ok = abi.ParseKind(p.Kind); !ok || out.kind == abi.KindList {
		c.fault("%s: kind %.80q is not one of tensor, bytes, text, json, image", where, p.Kind)
	}
	if out.kind != abi.KindTensor && (p.DType != "" || p.Shape != nil) {
		c.fault("%s: only a tensor has a dtype and a shape", where)
	}
	if p.DType != "" {
		if out.dtype, ok = abi.ParseDType(p.DType); !ok {
			c.fault("%s: dtype %.80q is unknown", where, p.DType)
		}
	}
	if len(p.Shape) > abi.MaxRank {
		c.fault("%s: %d dimensions, want at most %d", where, len(p.Shape), abi.MaxRank)
		return out
	}
	for _, d := range p.Shape {
		switch {
		case d.Any:
			out.dims = append(out.dims, dim{sym: symAny})
		case d.Name != "":
			if strings.HasPrefix(d.Name, "?") || len(d.Name) > maxNameBytes {
				c.fault("%s: dimension %.80q is not a name", where, d.Name)
			}
			out.dims = append(out.dims, dim{sym: syms.use(d.Name)})
		default:
			out.dims = append(out.dims, dim{size: d.Size, sym: symNone})
		}
	}
	return out
}
