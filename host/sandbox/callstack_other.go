//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero/api"
)

// stackOverflow is the runtime's word for a stack that is full, and what a caller is told.
const (
	stackOverflow     = "stack overflow"
	stackOverflowText = "stack overflow: the call used up its call stack"
)

// callStacks would lend call stacks to guests: here the runtime's own bound holds.
type callStacks struct{}

func newCallStacks(int) *callStacks { return &callStacks{} }

func (*callStacks) call(ctx context.Context, fn api.Function, args []uint64) error {
	return fn.CallWithStack(ctx, args)
}

func (*callStacks) close() {}
