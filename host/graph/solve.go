package graph

import (
	"fmt"
	"slices"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// solver unifies dimensions. Every dimension of every edge is a variable; equal ones are joined (union-find), and a set
// may have a size. For lists a variable stands for the size in any one item: each equation holds for every item of a
// run that succeeds, so a contradiction is one for the whole list.
type solver struct {
	parent []int
	size   []int64  // of a root; -1 when not known
	why    []string // of a root with a size: the port that fixes it
	name   []string // as declared, "" for "?"
}

// fresh returns a new variable without a size.
func (s *solver) fresh(name string) int {
	s.parent = append(s.parent, len(s.parent))
	s.size = append(s.size, -1)
	s.why = append(s.why, "")
	s.name = append(s.name, name)
	return len(s.parent) - 1
}

// fixed returns a new variable of a known size.
func (s *solver) fixed(size int64, why string) int {
	v := s.fresh("")
	s.size[v], s.why[v] = size, why
	return v
}

func (s *solver) root(v int) int {
	for s.parent[v] != v {
		s.parent[v] = s.parent[s.parent[v]]
		v = s.parent[v]
	}
	return v
}

// unify joins two variables; false means that they have different sizes, and nothing changed.
func (s *solver) unify(a, b int) bool {
	a, b = s.root(a), s.root(b)
	if a == b {
		return true
	}
	if s.size[a] >= 0 && s.size[b] >= 0 && s.size[a] != s.size[b] {
		return false
	}
	if s.size[a] < 0 {
		s.size[a], s.why[a] = s.size[b], s.why[b]
	}
	s.parent[b] = a
	return true
}

// agree reports whether two variables can have the same size, without joining them.
func (s *solver) agree(a, b int) bool {
	a, b = s.root(a), s.root(b)
	return s.size[a] < 0 || s.size[b] < 0 || s.size[a] == s.size[b]
}

// dim returns what is known about a variable, by its declared name.
func (s *solver) dim(v int) abi.Dim {
	if r := s.root(v); s.size[r] >= 0 {
		return abi.Dim{Size: s.size[r]}
	}
	if s.name[v] != "" {
		return abi.Dim{Name: s.name[v]}
	}
	return abi.Dim{Any: true}
}

func (s *solver) clone() *solver {
	return &solver{
		parent: slices.Clone(s.parent), size: slices.Clone(s.size), why: slices.Clone(s.why), name: slices.Clone(s.name),
	}
}

// instantiate returns variables for a declared shape. Names are looked up and kept in scope.
func (s *solver) instantiate(shape []abi.Dim, scope map[string]int, why string) []int {
	if shape == nil {
		return nil
	}
	out := make([]int, len(shape))
	for i, d := range shape {
		switch {
		case d.Any:
			out[i] = s.fresh("")
		case d.Name == "":
			out[i] = s.fixed(d.Size, why)
		default:
			v, ok := scope[d.Name]
			if !ok {
				v = s.fresh(d.Name)
				scope[d.Name] = v
			}
			out[i] = v
		}
	}
	return out
}

// alias returns variables for a port's shape that take over what is known about its source without asking anything of it:
// a name stands for the source's dimension the first time.
func (s *solver) alias(t Type, from *edge, scope map[string]int, why string) []int {
	if t.Shape != nil && from.kind == abi.KindTensor && len(from.shape) == len(t.Shape) {
		for i, d := range t.Shape {
			if _, ok := scope[d.Name]; !ok && d.Name != "" {
				scope[d.Name] = from.shape[i]
			}
		}
	}
	return s.instantiate(t.Shape, scope, why)
}

// meet returns what two shapes have in common; nil when their ranks differ or are not known.
func (s *solver) meet(a, b []int) []int {
	if a == nil || b == nil || len(a) != len(b) {
		return nil
	}
	out := make([]int, len(a))
	for i := range a {
		x, y := s.root(a[i]), s.root(b[i])
		switch {
		case x == y:
			out[i] = a[i]
		case s.size[x] >= 0 && s.size[x] == s.size[y]:
			out[i] = s.fixed(s.size[x], s.why[x])
		default:
			out[i] = s.fresh("")
		}
	}
	return out
}

// edge is what is known about the values on the edges from one input of the graph or one output of a node.
type edge struct {
	known    bool
	kind     abi.Kind
	list     int
	dtype    abi.DType
	dtypeWhy string // the port that the element type comes from
	shape    []int  // variables; nil when the rank is not known
	shapeWhy string // the port that the rank comes from
}

// state is what the typing of nodes adds to.
type state struct {
	*solver
	inputs []edge
	nodes  [][]edge // by node and output port
}

func (s *state) edge(src Source) *edge {
	switch src.Kind {
	case SourceInput:
		return &s.inputs[src.Index]
	case SourceNode:
		if outs := s.nodes[src.Index]; outs != nil {
			return &outs[src.Output]
		}
	case SourceNone, SourceConst, SourceFirst:
	}
	return &edge{}
}

// typeOf returns what is known about an edge as a type.
func (s *state) typeOf(e *edge) Type {
	t := Type{Kind: e.kind, DType: e.dtype, List: e.list}
	if e.shape != nil {
		t.Shape = make([]abi.Dim, len(e.shape))
		for i, v := range e.shape {
			t.Shape[i] = s.dim(v)
		}
	}
	return t
}

// dimMismatch says how two dimensions differ. ref is what feeds the port.
func (s *state) dimMismatch(i int, declared abi.Dim, want, got int, ref string) string {
	w, g := s.root(want), s.root(got)
	text := fmt.Sprintf("dimension %d is %d", i, s.size[g])
	if s.why[g] != ref {
		text += " because of " + s.why[g]
	}
	if declared.Name != "" {
		return text + fmt.Sprintf(", but %s is %d because of %s", declared.Name, s.size[w], s.why[w])
	}
	return text + fmt.Sprintf(", not %d", s.size[w])
}
