package graph

import (
	"fmt"
	"slices"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Bindings are the sizes that the names of one node's dimensions have in one run of it. Start each run with an empty
// map; Type.Check fills it.
type Bindings map[string]int64

// Mismatch is a value that does not fit a port at run time.
type Mismatch struct { //nolint:errname // it says what it is
	Expected string
	Found    string
	// Detail says which part differs.
	Detail string
}

// Error returns the mismatch in one line.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("expected %s, found %s: %s", m.Expected, m.Found, m.Detail)
}

// Check reports whether a value that is not a list fits t, which must not be a list type. It binds names to sizes in b
// as it goes. The error is a *Mismatch.
func (t Type) Check(kind abi.Kind, dtype abi.DType, shape []int64, b Bindings) error {
	if t.Kind == abi.KindNone {
		return nil
	}
	fail := func(format string, args ...any) error {
		found := Type{Kind: kind}
		if kind == abi.KindTensor {
			found = Type{Kind: kind, DType: dtype, Shape: sizes(shape)}
		}
		return &Mismatch{Expected: t.String(), Found: found.String(), Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case kind != t.Kind:
		return fail("the kind differs")
	case kind != abi.KindTensor:
		return nil
	case t.DType != abi.DTypeNone && dtype != t.DType:
		return fail("the element type differs")
	case t.Shape != nil && len(shape) != len(t.Shape):
		return fail("the rank is %d, not %d", len(shape), len(t.Shape))
	}
	for i, d := range t.Shape {
		want, bound := d.Size, !d.Any && d.Name == ""
		if d.Name != "" {
			want, bound = b.size(d.Name, shape[i])
		}
		if bound && shape[i] != want {
			return fail("dimension %d is %d, not %s", i, shape[i], dimWords(d, want))
		}
	}
	return nil
}

func (b Bindings) size(name string, found int64) (int64, bool) {
	if want, ok := b[name]; ok {
		return want, true
	}
	if b != nil {
		b[name] = found
	}
	return 0, false
}

func dimWords(d abi.Dim, size int64) string {
	if d.Name != "" {
		return fmt.Sprintf("%d as %s is elsewhere in this node", size, d.Name)
	}
	return fmt.Sprint(size)
}

func sizes(shape []int64) []abi.Dim {
	out := slices.Grow([]abi.Dim{}, len(shape))
	for _, n := range shape {
		out = append(out, abi.Dim{Size: n})
	}
	return out
}
