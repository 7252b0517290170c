// Package plugin turns ordinary Go functions into a Tandem plugin: a WebAssembly module that a server runs in a sandbox
// between the models of a graph.
//
// An author writes functions over structs whose tags name the ports, and registers them once:
//
//	type ShoutIn struct {
//		Text string `tdm:"text" doc:"what to say"`
//	}
//	type ShoutWith struct {
//		Marks int `with:"marks" default:"1" min:"0" max:"9"`
//	}
//	type ShoutOut struct {
//		Text string `tdm:"text"`
//	}
//
//	func Shout(ctx *plugin.Context, in ShoutIn, with ShoutWith) (ShoutOut, error) {
//		return ShoutOut{Text: strings.ToUpper(in.Text) + strings.Repeat("!", with.Marks)}, nil
//	}
//
//	var _ = plugin.Register(plugin.Plugin{Name: "shout", Functions: []plugin.Function{
//		plugin.Func("shout", "says it louder", Shout),
//	}})
//
//	func main() {}
//
// Tensors and byte slices that a function receives are views of the memory that the server filled: they are read-only and
// valid until the function returns. What a function returns is handed to the server without a copy where its alignment
// allows (see [NewTensor]).
//
// The package keeps clear of encoding/json and fmt, which would double the size of a plugin, and uses reflection only
// while a plugin registers. Built natively it has the same API without a server behind it, so that functions are tested
// with plain go test; package plugintest helps. One instance of a plugin runs one call at a time.
package plugin

import (
	"errors"
	"reflect"
	"unsafe"
)

// Plugin is what a module offers: a name for people and its functions.
type Plugin struct {
	// Name of the plugin, for people; graphs use the name under which it was pushed.
	Name string
	// Version for people, free text, may be empty.
	Version string
	// Doc is one paragraph for people, may be empty.
	Doc string
	// Stateful plugins keep their memory between calls; all others see a fresh instance each time.
	Stateful bool
	// Functions in the order in which the server numbers them; at least one.
	Functions []Function
}

// None is the configuration of a function that takes none, and the input or output of one that has no ports.
type None = struct{}

// Function is one function of a plugin, made by [Func].
type Function struct {
	name     string
	doc      string
	in       []port
	out      []port
	with     []withField
	outcomes []*OutcomeError
	decode   func(doc []byte) (unsafe.Pointer, error)
	invoke   func(c *call, with unsafe.Pointer) (unsafe.Pointer, error)
	err      error
}

// Func describes fn, to be called under name. In and Out are structs whose exported fields are ports, With is a struct
// whose fields are the node's configuration; the README of the SDK lists the field types and tags. Outcomes are the ends
// other than success and failure that fn may return as its error.
//
// Func never fails: what is wrong with the types is reported by [Check], and by the server when the plugin is pushed.
func Func[In, With, Out any](
	name, doc string, fn func(ctx *Context, in In, with With) (Out, error), outcomes ...*OutcomeError,
) Function {
	f := newFunction(name, doc, reflect.TypeFor[In](), reflect.TypeFor[With](), reflect.TypeFor[Out](), outcomes)
	f.decode = func(doc []byte) (unsafe.Pointer, error) {
		w := new(With)
		return unsafe.Pointer(w), decodeWith(w, doc)
	}
	f.invoke = func(c *call, with unsafe.Pointer) (unsafe.Pointer, error) {
		in := new(In)
		if err := c.load(f.in, unsafe.Pointer(in)); err != nil {
			return nil, err
		}
		out, err := fn(c.ctx, *in, *(*With)(with))
		if err != nil {
			return nil, err
		}
		return unsafe.Pointer(&out), c.store(f.out, unsafe.Pointer(&out))
	}
	return f
}

func newFunction(name, doc string, in, with, out reflect.Type, outcomes []*OutcomeError) Function {
	f := Function{name: name, doc: doc, outcomes: outcomes}
	var errIn, errOut, errWith error
	f.in, errIn = portsOf(in)
	f.out, errOut = portsOf(out)
	f.with, errWith = withFieldsOf(with)
	f.err = errors.Join(errIn, errOut, errWith)
	return f
}

// OutcomeError is a declared way for a function to end that is neither success nor failure, such as "nothing to do". It is
// returned as the function's error; the outputs of such a call are empty.
type OutcomeError struct {
	name string
	code uint8
}

// NewOutcome returns an outcome with a name and a code from 1 to 255, both unique within a function.
func NewOutcome(name string, code uint8) *OutcomeError { return &OutcomeError{name: name, code: code} }

// Error returns the outcome's name.
func (o *OutcomeError) Error() string { return o.name }

// Code returns the outcome's code.
func (o *OutcomeError) Code() uint8 { return o.code }
