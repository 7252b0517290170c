package graph

import (
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// fitting is one check of what feeds one port.
type fitting struct {
	*compiler
	*state
	node *Node
	port *Port
	bind *Binding
	edge *edge
}

// check compares kind, element type and shape; the lists around are known to fit. shape holds the port's variables.
func (f *fitting) check(shape []int) {
	want := f.port.Type
	convert, ok := conversion(f.edge.kind, want)
	if !ok {
		f.fault(CodeKindMismatch, "%s does not fit the port", f.bind.subject()).fix("%s", conversionAdvice(f.edge.kind, want))
		return
	}
	if want.Kind != abi.KindTensor || convert != ConvertNone || !f.dtype() || shape == nil {
		return
	}
	if f.edge.shape == nil {
		f.edge.shape, f.edge.shapeWhy = shape, f.node.Name+"."+f.port.Name
		return
	}
	if len(shape) != len(f.edge.shape) {
		f.fault(CodeRankMismatch, "%s has the rank %d%s, not %d", f.bind.subject(), len(f.edge.shape), f.because(f.edge.shapeWhy), len(shape))
		return
	}
	var wrong []string
	found := f.typeOf(f.edge)
	for i := range shape {
		if !f.unify(shape[i], f.edge.shape[i]) {
			wrong = append(wrong, f.dimMismatch(i, want.Shape[i], shape[i], f.edge.shape[i], f.bind.ref()))
		}
	}
	if len(wrong) > 0 {
		f.fault(CodeDimensionMismatch, "%s does not fit the port: %s", f.bind.subject(), strings.Join(wrong, "; ")).
			between(want.String(), f.item(found))
	}
}

// dtype compares element types. What is not known yet takes the port's.
func (f *fitting) dtype() bool {
	want, e := f.port.Type.DType, f.edge
	if e.dtype == abi.DTypeNone {
		e.dtype, e.dtypeWhy = want, f.node.Name+"."+f.port.Name
		return true
	}
	if want == abi.DTypeNone || want == e.dtype {
		return true
	}
	f.fault(CodeDTypeMismatch, "%s has the element type %s%s", f.bind.subject(), e.dtype, f.because(e.dtypeWhy)).
		fix("convert it in a plugin, or export the model with %s", e.dtype)
	return false
}

// because names the port that something is known from, unless it is the source itself.
func (f *fitting) because(why string) string {
	if why == f.bind.ref() || why == "" {
		return ""
	}
	return " because of " + why
}

// presence checks that what may be absent feeds an optional port.
func (f *fitting) presence(l *link) {
	if l.source.Kind != SourceInput || !f.absent(l.source.Index) || (f.port.Optional && !l.mapped) {
		return
	}
	f.add(faultf(CodeOptionalMismatch, f.bind.Pos, "the input %s may be absent, and the port needs a value", quote(f.bind.From)).
		at(f.node.Name, f.port.Name).fix("give the input a default"))
}

func (f *fitting) fault(code Code, format string, args ...any) *Fault {
	fault := faultf(code, f.bind.Pos, format, args...).at(f.node.Name, f.port.Name).
		between(f.port.Type.String(), f.item(f.typeOf(f.edge)))
	f.add(fault)
	return fault
}

// item writes a type with as many lists as the port has: the lists that the node is mapped over are beside the point.
func (f *fitting) item(t Type) string {
	t.List = f.port.Type.List
	return t.String()
}

// conversion returns how a value of one kind becomes what a port takes; ok is false when it cannot.
func conversion(from abi.Kind, want Type) (_ Convert, ok bool) {
	switch {
	case from == want.Kind:
		return ConvertNone, true
	case from == abi.KindImage && decodable(want):
		return ConvertDecode, true
	case want.Kind == abi.KindBytes && (from == abi.KindImage || from == abi.KindText || from == abi.KindJSON):
		return ConvertBytes, true
	case want.Kind == abi.KindText && from == abi.KindJSON:
		return ConvertText, true
	default:
		return ConvertNone, false
	}
}

// decodable reports whether a port takes decoded images: UINT8 [h,w,3].
func decodable(t Type) bool {
	if t.Kind != abi.KindTensor || t.DType != abi.UINT8 || len(t.Shape) != 3 {
		return false
	}
	last := t.Shape[2]
	return !last.Any && last.Name == "" && last.Size == 3
}

func conversionAdvice(from abi.Kind, want Type) string {
	switch {
	case from == abi.KindImage && want.Kind == abi.KindTensor:
		return "an image feeds tensors UINT8 [h,w,3] only; prepare it in a plugin"
	case from == abi.KindBytes && want.Kind == abi.KindImage:
		return "declare it as image where it comes from"
	case from == abi.KindText && want.Kind == abi.KindTensor:
		return "turn the text into a tensor in a plugin, for instance a tokeniser"
	case from == abi.KindTensor:
		return "read the tensor in a plugin"
	default:
		return ""
	}
}
