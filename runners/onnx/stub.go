//go:build !cgo || !(linux || darwin)

package onnx

import (
	"context"
	"fmt"

	"github.com/tandem-serve/tandem/runners"
)

var errNoCgo = fmt.Errorf("%w: this program was built without cgo (CGO_ENABLED=1, a C compiler, Linux or macOS) and cannot run ONNX models itself", runners.ErrUnavailable)

// Runtime is ONNX Runtime, loaded; this build has none.
type Runtime struct{}

// Open returns an error that wraps runners.ErrUnavailable: this build cannot run models.
func Open(context.Context, Config) (*Runtime, error) { return nil, errNoCgo }

// Version returns "".
func (*Runtime) Version() string { return "" }

// Providers returns nothing.
func (*Runtime) Providers() []string { return nil }

// Threads returns 0.
func (*Runtime) Threads() int { return 0 }

// Trim does nothing.
func (*Runtime) Trim() {}

// Load returns an error that wraps runners.ErrUnavailable.
func (*Runtime) Load(context.Context, []byte, Options) (*Model, error) { return nil, errNoCgo }

// LoadFile returns an error that wraps runners.ErrUnavailable.
func (*Runtime) LoadFile(context.Context, string, Options) (*Model, error) { return nil, errNoCgo }

var _ runners.Runner = (*Model)(nil)

// Model is one loaded model; this build makes none.
type Model struct{}

// Signature returns an empty signature.
func (*Model) Signature() runners.Signature { return runners.Signature{} }

// Metadata returns nothing.
func (*Model) Metadata() Metadata { return Metadata{} }

// Placement returns nothing.
func (*Model) Placement() Placement { return Placement{} }

// Run returns an error that wraps runners.ErrUnavailable.
func (*Model) Run(context.Context, []runners.Tensor, []runners.Tensor) error { return errNoCgo }

// Close does nothing.
func (*Model) Close() error { return nil }
