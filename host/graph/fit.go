package graph

import (
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// fitting is one check of what feeds one port.
type fitting struct {
	*compiler
	*state
	index  int // of the node
	node   *Node
	port   *Port
	bind   *Binding
	edge   *edge
	ref    string // what feeds the port, for messages
	shape  []int  // the port's variables
	single bool   // the only source of its port
	failed bool
}

// check compares kind, element type and shape, and unifies the dimensions: what the port asks for holds for every run.
func (f *fitting) check() {
	if !f.tensors() {
		return
	}
	if f.edge.dtype == abi.DTypeNone {
		f.edge.dtype, f.edge.dtypeWhy = f.port.Type.DType, f.node.Name+"."+f.port.Name
	}
	if f.shape == nil {
		return
	}
	if f.edge.shape == nil {
		f.edge.shape, f.edge.shapeWhy = f.shape, f.node.Name+"."+f.port.Name
		return
	}
	f.dimensions(f.state, f.unify)
}

// compare is check without narrowing what feeds the port.
func (f *fitting) compare() {
	if !f.edge.known || !f.tensors() || f.shape == nil || f.edge.shape == nil {
		return
	}
	f.dimensions(f.state, f.agree)
}

// unifyIn unifies the dimensions in another solver and reports what does not fit there.
func (f *fitting) unifyIn(trial *state) {
	if !f.failed && f.edge.known && f.edge.kind == abi.KindTensor && len(f.shape) == len(f.edge.shape) {
		f.dimensions(trial, trial.unify)
	}
}

// tensors compares everything but dimensions; true means that there are dimensions to compare.
func (f *fitting) tensors() bool {
	want := f.port.Type
	convert, ok := conversion(f.edge.kind, want)
	if !ok {
		f.report(f.fault(CodeKindMismatch, "%s does not fit the port", f.subject()).fix("%s", conversionAdvice(f.edge.kind, want)))
		return false
	}
	if want.Kind != abi.KindTensor || convert != ConvertNone {
		return false
	}
	if want.DType != abi.DTypeNone && f.edge.dtype != abi.DTypeNone && want.DType != f.edge.dtype {
		f.report(f.fault(CodeDTypeMismatch, "%s has the element type %s%s", f.subject(), f.edge.dtype, f.because(f.edge.dtypeWhy)).
			fix("convert it in a plugin, or export the model with %s", f.edge.dtype))
		return false
	}
	if f.shape != nil && f.edge.shape != nil && len(f.shape) != len(f.edge.shape) {
		f.report(f.fault(CodeRankMismatch, "%s has the rank %d%s, not %d", f.subject(), len(f.edge.shape), f.because(f.edge.shapeWhy), len(f.shape)))
		return false
	}
	return true
}

// dimensions relates the dimensions of source and port as s knows them.
func (f *fitting) dimensions(s *state, relate func(a, b int) bool) {
	var wrong []string
	found := s.typeOf(f.edge)
	for i := range f.shape {
		if !relate(f.shape[i], f.edge.shape[i]) {
			wrong = append(wrong, s.dimMismatch(i, f.port.Type.Shape[i], f.shape[i], f.edge.shape[i], f.ref))
		}
	}
	if len(wrong) > 0 {
		f.report(f.fault(CodeDimensionMismatch, "%s does not fit the port: %s", f.subject(), strings.Join(wrong, "; ")).
			between(f.port.Type.String(), f.item(found)))
	}
}

// subject is what feeds the port, as the subject of a sentence.
func (f *fitting) subject() string {
	if f.bind.Value != nil {
		return f.ref
	}
	return quote(f.ref)
}

// because names the port that something is known from, unless it is the source itself.
func (f *fitting) because(why string) string {
	if why == f.ref || why == "" {
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
	return faultf(code, f.bind.Pos, format, args...).at(f.node.Name, f.port.Name).
		between(f.port.Type.String(), f.item(f.typeOf(f.edge)))
}

func (f *fitting) report(fault *Fault) {
	f.failed = true
	f.add(fault)
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
