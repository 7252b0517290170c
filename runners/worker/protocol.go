package worker

import (
	"fmt"
	"slices"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// The bodies of frames, as JSON. Fields may be added; both sides are the same binary.

// hello tells a worker what it shares with its host. The shared memory's file comes along.
type hello struct {
	// Shared is the size of the shared memory, Slots where the slots lie in it.
	Shared, Slots int64
	// Futex tells to wake and be woken by futexes, else by frames.
	Futex bool
	// Library and Threads are of onnx.Config.
	Library string
	Threads int
}

// ready is a worker's answer to hello.
type ready struct {
	Version string
	Fault   *fault `json:",omitempty"`
}

// loadRequest tells a worker to load the model in the file that comes along.
type loadRequest struct {
	Size    int64
	Options onnx.Options
}

// loadReply is the answer.
type loadReply struct {
	Description

	Fault *fault `json:",omitempty"`
}

// Description is what a worker says of a model that it loaded.
type Description struct {
	Signature runners.Signature
	Metadata  onnx.Metadata
	Placement onnx.Placement
	// Grown is by how much the worker's private memory grew, in bytes; 0 where that is not known.
	Grown int64
}

// check reports what no model can be like: a worker may say anything. The error wraps runners.ErrCrashed, since a worker that says
// such things is not to be trusted any more.
func (d *Description) check() error {
	for _, ports := range [][]runners.Port{d.Signature.Inputs, d.Signature.Outputs} {
		for i := range ports {
			p := &ports[i]
			if p.Name == "" || !p.DType.Valid() || len(p.Dims) > maxRank || p.JSON && p.DType != runners.BYTES {
				return errDescription
			}
			if slices.ContainsFunc(p.Dims, func(dim runners.Dim) bool { return dim.Size < -1 }) {
				return errDescription
			}
		}
	}
	if d.Grown < 0 {
		return errDescription
	}
	return nil
}

var errDescription = fmt.Errorf("%w: %w", runners.ErrCrashed, errMessage)

// pong tells that a worker is alive.
type pong struct {
	// Resident is the memory that it has, in bytes, without what it shares; 0 where that is not known.
	Resident int64
}
