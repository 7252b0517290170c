//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"reflect"
	"testing"
	"unsafe"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
)

// Stacks that are free keep their memory as long as they are few; of the others only the shallow part stays.
func TestCallStacksGiveMemoryBack(t *testing.T) {
	s := newCallStacks(1)
	defer s.close()
	var all []callStack
	for range 5 {
		stack, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		stack[stackRange-stackBytes], stack[stackRange-1] = 1, 1
		all = append(all, stack)
	}
	for i, stack := range all {
		s.give(stack)
		deep, shallow := stack[stackRange-stackBytes] == 1, stack[stackRange-1] == 1
		if warm := i < 2; deep != warm || !shallow {
			t.Errorf("stack %d has its deep part %v and its shallow part %v, want %v and true", i, deep, shallow, warm)
		}
	}
	if again, err := s.take(); err != nil || &again[0] != &all[4][0] {
		t.Errorf("got another stack than the one that came last (%v)", err)
	}
	s.give(all[4])
}

// A function has a stack of the host's for as long as it is called, and no pointer to it afterwards, whatever came of the call.
func TestCallStackIsLent(t *testing.T) {
	h, err := New(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close(t.Context()) }()
	p, err := h.Load(t.Context(), sandboxtest.Module(t, "hostile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		export string
		args   []uint64
		traps  bool
	}{{abi.ExportAlloc, []uint64{pageBytes, pageBytes}, false}, {abi.ExportRun, []uint64{0}, true}} {
		l, err := p.laneFor(&Call{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := p.newState(t.Context(), &Call{})
		in, _, err := l.take(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		fn := in.mod.ExportedFunction(c.export)
		place := func() ownStack {
			at := h.stacks.layout.place(reflect.ValueOf(fn).UnsafePointer())
			if *at.last != nil {
				t.Errorf("%s: the function has a pointer to where it was left", c.export)
			}
			return ownStack{*at.stack, *at.top, *at.bottom}
		}
		own := place()
		if _, err := in.invoke(t.Context(), fn, c.args...); (err != nil) != c.traps {
			t.Errorf("%s: got %v", c.export, err)
		}
		after := place()
		if unsafe.SliceData(own.stack) != unsafe.SliceData(after.stack) || len(own.stack) != len(after.stack) || own.top != after.top || own.bottom != after.bottom {
			t.Errorf("%s: the function has another stack after the call than before", c.export)
		}
		l.finish(in)
		p.host.freeState(s)
	}
}

// Another runtime than the one that this was made for is refused, not written into.
func TestStackLayout(t *testing.T) {
	pointer := func(fields ...reflect.StructField) reflect.Type { return reflect.PointerTo(reflect.StructOf(fields)) }
	field := func(name string, typ reflect.Type) reflect.StructField {
		return reflect.StructField{Name: name, PkgPath: "runtime", Type: typ}
	}
	word, bytes := reflect.TypeFor[uintptr](), reflect.TypeFor[[]byte]()
	execution := reflect.StructOf([]reflect.StructField{
		field("stackBottomPtr", reflect.TypeFor[*byte]()), field("stackPointerBeforeGoCall", reflect.TypeFor[*uint64]()),
	})
	known := pointer(field("other", word), field("stack", bytes), field("stackTop", word), field("execCtx", execution))
	size := unsafe.Sizeof(uintptr(0))
	want := stackLayout{stack: size, top: 4 * size, bottom: 5 * size, last: 6 * size}
	if got, err := stackLayoutOf(known); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, typ := range []reflect.Type{
		known.Elem(), reflect.TypeFor[*int](), reflect.TypeFor[func()](),
		pointer(field("stack", bytes), field("execCtx", execution)),
		pointer(field("stack", bytes), field("stackTop", reflect.TypeFor[*byte]()), field("execCtx", execution)),
		pointer(field("stack", bytes), field("stackTop", word), field("execCtx", word)),
	} {
		if _, err := stackLayoutOf(typ); !errors.Is(err, errStackLayout) {
			t.Errorf("%v: got %v, want a refusal", typ, err)
		}
	}
}
