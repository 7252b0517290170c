//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

const (
	// stackBytes is the size of a call stack. Go's encoding/json takes 1.4 MiB for a document of 10,000 levels, the most
	// that it reads, which is deeper than anything else that plugins were seen to do.
	stackBytes = 2 << 20
	// stackRange is the address range of a call stack. When a stack is full, wazero copies it to one of twice the size on the
	// Go heap, unless it is larger than 50,000,000 bytes: then the call fails. A range as large as that fails at once; only
	// its upper end has memory.
	stackRange = 64 << 20
	// stackSlack is memory below the stack's end, for what does not look whether there is room.
	stackSlack = 4096
	// stackAlign is the alignment of frames.
	stackAlign = 16
	// stackShallow is the part of a stack that always keeps its memory. Calls of the stock plugins take at most 10 KB.
	stackShallow = 16 << 10
)

// stackOverflow is the runtime's word for a stack that is full, and what a caller is told.
const (
	stackOverflow     = "stack overflow"
	stackOverflowText = "stack overflow: the call used up its call stack of 2 MiB"
)

// errStackLayout says that this build was not made for the runtime that it was linked with.
var errStackLayout = errors.New("the WebAssembly runtime keeps its call stacks in a way that is not known here")

// callStacks lends call stacks to guests, each for one call. A guest whose stack is full has used up its limit: nothing is
// copied, and nothing is taken from the Go heap.
//
// wazero has no setting for it, so that the fields of its function objects are changed for as long as a call lasts; their
// places are looked up by name and type. The stacks are shared by all guests, as code that passed the linter reads no
// part of its stack that it did not write.
type callStacks struct {
	warm int // how many of those that are free keep all of their memory

	once   sync.Once // before the following are read
	layout stackLayout
	fault  error

	mu   sync.Mutex // guards the following
	free []callStack
}

// callStack is memory that a guest's frames are in. It grows from the end to the start.
type callStack []byte

// stackLayout holds where a function object has its stack, as offsets.
type stackLayout struct {
	stack  uintptr // []byte
	top    uintptr // uintptr: where frames begin
	bottom uintptr // *byte: where they must end
	last   uintptr // *uint64: where they ended when the guest was last left
}

func newCallStacks(cores int) *callStacks { return &callStacks{warm: 2 * cores} }

// call calls a function with its parameters in args, where its results come, on a stack of its own.
func (s *callStacks) call(ctx context.Context, fn api.Function, args []uint64) error {
	s.once.Do(func() { s.layout, s.fault = stackLayoutOf(reflect.TypeOf(fn)) })
	if s.fault != nil {
		return &CallError{Kind: KindHost, Text: "the call stack of a guest cannot be bounded", Cause: s.fault}
	}
	stack, err := s.take()
	if err != nil {
		return &CallError{Kind: KindHost, Text: "there is no memory for a call stack", Cause: err}
	}
	place := s.layout.place(reflect.ValueOf(fn).UnsafePointer())
	own := place.put(stack)
	err = fn.CallWithStack(ctx, args)
	place.restore(own)
	s.give(stack)
	return err
}

// take returns a stack that nobody uses.
func (s *callStacks) take() (callStack, error) {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		stack := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		return stack, nil
	}
	s.mu.Unlock()
	return newCallStack()
}

// give takes a stack back. When many are free it gives their memory back but for the little that most calls use.
func (s *callStacks) give(stack callStack) {
	s.mu.Lock()
	cold := len(s.free) >= s.warm
	s.mu.Unlock()
	if cold {
		// A part of what newCallStack mapped: this cannot fail.
		_ = unix.Madvise(stack[stackRange-stackBytes-stackSlack:stackRange-stackShallow], unix.MADV_DONTNEED)
	}
	s.mu.Lock()
	s.free = append(s.free, stack)
	s.mu.Unlock()
}

// close frees the stacks. No guest may run.
func (s *callStacks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stack := range s.free {
		_ = unix.Munmap(stack) // the whole of what was mapped: this cannot fail
	}
	s.free = nil
}

func newCallStack() (callStack, error) {
	all, err := unix.Mmap(-1, 0, stackRange, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve a call stack: %w", err)
	}
	part := all[stackRange-stackBytes-stackSlack:]
	if err := unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return nil, errors.Join(fmt.Errorf("make a call stack: %w", err), unix.Munmap(all))
	}
	_ = unix.Madvise(part, unix.MADV_NOHUGEPAGE) // or the first call would have all of its memory; systems without huge pages refuse it
	return all, nil
}

// stackLayoutOf finds the fields in a type of function objects.
func stackLayoutOf(t reflect.Type) (l stackLayout, err error) {
	if t.Kind() != reflect.Pointer {
		return l, fmt.Errorf("%w: a function is a %v", errStackLayout, t)
	}
	for _, f := range []struct {
		path []string
		typ  reflect.Type
		at   *uintptr
	}{
		{[]string{"stack"}, reflect.TypeFor[[]byte](), &l.stack},
		{[]string{"stackTop"}, reflect.TypeFor[uintptr](), &l.top},
		{[]string{"execCtx", "stackBottomPtr"}, reflect.TypeFor[*byte](), &l.bottom},
		{[]string{"execCtx", "stackPointerBeforeGoCall"}, reflect.TypeFor[*uint64](), &l.last},
	} {
		if *f.at, err = offsetOf(t.Elem(), f.path, f.typ); err != nil {
			return l, err
		}
	}
	return l, nil
}

// offsetOf returns the offset of the field at the path, which must have the wanted type.
func offsetOf(t reflect.Type, path []string, want reflect.Type) (offset uintptr, err error) {
	for _, name := range path {
		if t.Kind() != reflect.Struct {
			return 0, fmt.Errorf("%w: %v has no field %s", errStackLayout, t, name)
		}
		field, ok := t.FieldByName(name)
		if !ok || len(field.Index) != 1 {
			return 0, fmt.Errorf("%w: %v has no field %s", errStackLayout, t, name)
		}
		offset += field.Offset
		t = field.Type
	}
	if t != want {
		return 0, fmt.Errorf("%w: %v is a %v, want a %v", errStackLayout, path, t, want)
	}
	return offset, nil
}

// stackPlace is where one function object has its stack.
type stackPlace struct {
	stack  *[]byte
	top    *uintptr
	bottom **byte
	last   **uint64
}

// ownStack is the stack that the runtime made for a function object.
type ownStack struct {
	stack  []byte
	top    uintptr
	bottom *byte
}

func (l *stackLayout) place(object unsafe.Pointer) stackPlace {
	return stackPlace{
		stack:  (*[]byte)(unsafe.Add(object, l.stack)),
		top:    (*uintptr)(unsafe.Add(object, l.top)),
		bottom: (**byte)(unsafe.Add(object, l.bottom)),
		last:   (**uint64)(unsafe.Add(object, l.last)),
	}
}

// put has the function object use a stack, and returns its own.
func (p stackPlace) put(stack callStack) ownStack {
	own := ownStack{*p.stack, *p.top, *p.bottom}
	*p.stack, *p.bottom = stack, &stack[stackRange-stackBytes]
	*p.top = uintptr(unsafe.Pointer(&stack[stackRange-stackAlign]))
	return own
}

// restore gives the function object its own stack. It then has no pointer to the other one, which is not the Go heap's and may be
// unmapped.
func (p stackPlace) restore(own ownStack) {
	*p.stack, *p.top, *p.bottom, *p.last = own.stack, own.top, own.bottom, nil
}
