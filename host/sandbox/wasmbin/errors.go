package wasmbin

import (
	"errors"
	"fmt"
)

// Code is a stable, machine-readable reason for refusing a module.
type Code string

// The reasons. They never change their meaning.
const (
	CodeMalformed   Code = "malformed"    // the bytes are not a module
	CodeInvalid     Code = "invalid"      // decodes, but breaks a validation rule (types, indices, constants)
	CodeLimit       Code = "limit"        // larger than a limit allows
	CodeFeature     Code = "feature"      // needs a WebAssembly feature that is refused
	CodeImport      Code = "import"       // an import that the host does not offer, or with another signature
	CodeReserved    Code = "reserved"     // uses a name that is kept for the host
	CodeUnsupported Code = "unsupported"  // valid, but not possible here: mutable v128 globals, padded opcodes
	CodeSnapshot    Code = "bad_snapshot" // a snapshot that does not fit the module
)

// Error is one reason for refusing a module.
type Error struct {
	Code   Code
	Offset int    // byte offset in the binary; -1 when the reason has no place
	Func   int    // index of the function, imports first; -1 outside function bodies
	Text   string // for people; not stable
}

// Error formats the reason with its place.
func (e *Error) Error() string {
	switch {
	case e.Func >= 0:
		return fmt.Sprintf("wasm: function %d at 0x%x: %s", e.Func, e.Offset, e.Text)
	case e.Offset >= 0:
		return fmt.Sprintf("wasm: at 0x%x: %s", e.Offset, e.Text)
	default:
		return "wasm: " + e.Text
	}
}

// Reasons returns every [Error] inside err, in the order in which they were found.
func Reasons(err error) []*Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Error
		for _, e := range joined.Unwrap() {
			out = append(out, Reasons(e)...)
		}
		return out
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return []*Error{e}
	}
	return nil
}
