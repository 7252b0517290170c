// Package runners declares how Tandem runs a model: the Runner interface, its tensors, signatures and errors. It knows
// nothing of graphs, plugins or tenants and imports nothing of ours. Implementations live in the packages below it and all
// pass the suite in runnertest.
package runners

import "context"

// Runner runs one loaded model.
//
// Implementers: Signature is constant for the life of the runner. Run may be called from many goroutines at once. Run
// returns soon (50 ms) after ctx is done, with an error for which errors.Is(err, ctx.Err()) holds, and by then reads and
// writes none of the tensors any more. Close waits for running calls, then frees everything; Run after Close returns
// ErrClosed. Close may be called more than once.
type Runner interface {
	// Signature returns the model's inputs and outputs. The caller must not change it.
	Signature() Signature
	// Run runs the model once. in has one tensor for each input of the signature, in its order; they are read only.
	// out has one for each output, in its order: where Data is nil the runner fills DType, Shape and Data with memory of its
	// own, which the caller gives back with Release; where Data is set, the runner writes into it and returns ErrShape when
	// what the model produced has another dtype or shape than the tensor says.
	// On an error nothing in out needs a Release.
	Run(ctx context.Context, in, out []Tensor) error
	// Close waits until running calls have ended and frees the model.
	Close() error
}

// Allocator is what a runner has besides whose models run in another process: memory that both see. Inputs that lie in it are
// read where they are; others are copied first.
type Allocator interface {
	// Alloc returns a tensor without dtype and shape whose Data is size bytes, not cleared, for an input of a run of this
	// runner. It may be reached from the runner that it came from until it is given back with Release, which may be done as
	// soon as Run has returned. The error wraps ErrOverloaded when there is no room.
	Alloc(size int) (Tensor, error)
}
