package sandbox_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	gostrings "strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

func int32s(n int32) value.Value {
	return value.Tensor(abi.INT32, nil, binary.LittleEndian.AppendUint32(nil, uint32(n)))
}

func int64of(t testing.TB, v value.Value) int64 {
	t.Helper()
	if v.DType != abi.INT64 || len(v.Data) != 8 {
		t.Fatalf("got %s, want an INT64 scalar", v.Describe())
	}
	return int64(binary.LittleEndian.Uint64(v.Data))
}

// hostile calls a function of the hostile plugin.
func hostile(ctx context.Context, p *sandbox.Plugin, function string, mode int32, s sandbox.Services) (*sandbox.Result, error) {
	r, err := p.Call(ctx, sandbox.Call{
		Function: function, Inputs: []value.Value{int32s(mode)}, Services: s, With: []byte(`{"key":"value"}`),
	})
	if err == nil {
		r.Release()
	}
	return r, err
}

func wantError(t *testing.T, err error, kind sandbox.Kind, port, text string) {
	t.Helper()
	var ce *sandbox.CallError
	if !errors.As(err, &ce) {
		t.Fatalf("got error %v, want a CallError", err)
	}
	if ce.Kind != kind || ce.Port != port || !gostrings.Contains(ce.Text, text) {
		t.Errorf("got %s at port %q: %q, want %s at port %q: %q", ce.Kind, ce.Port, ce.Text, kind, port, text)
	}
	if ce.Plugin == "" || ce.Function == "" || gostrings.Contains(ce.Text, "\n") {
		t.Errorf("got %+v, want plugin and function named and one line", ce)
	}
}

// wantAlive makes sure that the next call finds a plugin as new.
func wantAlive(t *testing.T, p *sandbox.Plugin) {
	t.Helper()
	r, err := hostile(t.Context(), p, "answer", 0, sandbox.Services{})
	if err != nil || r.Outputs[0].Describe() != "tensor FP32 [2,3]" {
		t.Fatalf("after it: got %v, %v, want an answer", r, err)
	}
}

func TestTraps(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	for mode, text := range []string{
		"unreachable", "integer divide by zero", "out of bounds memory access", "out of bounds memory access",
		"out of bounds memory access", "indirect call type mismatch", "invalid table access", "exited with code 3", "exited with code 0",
		"out of bounds memory access", "stack overflow",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := hostile(t.Context(), p, "trap", int32(mode), sandbox.Services{})
			wantError(t, err, sandbox.KindTrap, "", text)
			wantAlive(t, p)
		})
	}
}

func TestDeadlines(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	for mode, name := range []string{
		"loop", "loop of recursions", "recursion", "mutual recursion", "fills", "copies", "long fills", "now_ns", "log", "random_get",
		"fd_write", "poll_oneoff", "memory.grow", "record", "metric", "indirect calls", "fresh pages", "cache misses", "divisions",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := hostile(ctx, p, "spin", int32(mode), sandbox.Services{})
			took := time.Since(began)
			wantError(t, err, sandbox.KindDeadline, "", "ran out of time")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			t.Logf("overrun %v", took-100*time.Millisecond)
			if took > 2*time.Second { // a machine under load; a guest that is not stopped takes for ever
				t.Errorf("got an answer after %v, want about 100ms", took)
			}
			wantAlive(t, p)
		})
	}
}

func TestCancel(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := hostile(ctx, p, "spin", 0, sandbox.Services{})
	wantError(t, err, sandbox.KindCanceled, "", "went away")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	_, err = hostile(ctx, p, "answer", 0, sandbox.Services{})
	wantError(t, err, sandbox.KindCanceled, "", "went away")
	wantAlive(t, p)
}

func TestFuel(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	c := sandbox.Call{Function: "spin", Inputs: []value.Value{int32s(0)}, MaxFuel: 10_000_000}
	_, err := p.Call(t.Context(), c)
	wantError(t, err, sandbox.KindQuota, "", "fuel")

	var spent uint64
	stop := errors.New("no more")
	c.MaxFuel = 0
	c.Services.Spend = func(n uint64, _ time.Duration) error {
		if spent += n; spent > 50_000_000 {
			return stop
		}
		return nil
	}
	_, err = p.Call(t.Context(), c)
	wantError(t, err, sandbox.KindQuota, "", "tenant")
	if !errors.Is(err, stop) {
		t.Errorf("got %v, want the cause", err)
	}
	wantAlive(t, p)
}

func TestMemory(t *testing.T) {
	const limit = 32 << 20
	p := load(t, newHost(t, sandbox.Config{MemoryLimitBytes: limit}), "hostile")
	size := func() int64 {
		r, err := hostile(t.Context(), p, "memory", 5, sandbox.Services{})
		if err != nil {
			t.Fatal(err)
		}
		return int64of(t, r.Outputs[0])
	}
	before := size()
	r, err := hostile(t.Context(), p, "memory", 0, sandbox.Services{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := int64of(t, r.Outputs[0]), (limit/65536-before)/16; got != want {
		t.Errorf("grew %d times, want %d", got, want)
	}
	_, err = hostile(t.Context(), p, "memory", 1, sandbox.Services{})
	wantError(t, err, sandbox.KindMemory, "", "out of memory")
	r, err = hostile(t.Context(), p, "memory", 3, sandbox.Services{})
	if err != nil || int64of(t, r.Outputs[0]) != 0xffffffff {
		t.Errorf("growing by 4 GiB: got %v, %v, want a refusal", r, err)
	}
	_, err = hostile(t.Context(), p, "memory", 4, sandbox.Services{})
	wantError(t, err, sandbox.KindMemory, "", "out of memory")
	if after := size(); after != before {
		t.Errorf("got %d pages afterwards, want %d as before", after, before)
	}
}

// Guests share a budget of memory: what one has, another is refused, and it comes back.
func TestGuestBudget(t *testing.T) {
	h := newHost(t, sandbox.Config{MemoryLimitBytes: 64 << 20, GuestBytes: 80 << 20})
	p := load(t, h, "hostile")
	grow := func() *sandbox.Result {
		r, err := p.Call(t.Context(), sandbox.Call{Function: "memory", Inputs: []value.Value{int32s(0)}, Lease: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if _, err := p.Call(t.Context(), sandbox.Call{Function: "memory", Inputs: []value.Value{int32s(5)}}); err != nil {
		t.Fatal(err)
	}
	alone := h.Stats().GuestBytes // of its snapshot
	for range 3 {
		first, second := grow(), grow()
		a, b := int64of(t, first.Outputs[0]), int64of(t, second.Outputs[0])
		if a != 63 || b == 0 || b > 17 {
			t.Errorf("the guests grew by %d and %d MiB, want 63 and at most 17", a, b)
		}
		first.Release()
		second.Release()
		for until := time.Now().Add(10 * time.Second); h.Stats().GuestBytes != alone; { // freed after the calls returned
			if time.Now().After(until) {
				t.Fatalf("%d bytes are counted when no guest has grown, want %d", h.Stats().GuestBytes, alone)
			}
			runtime.Gosched()
		}
	}
}

func TestGuestErrors(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	for mode, want := range map[int32]struct {
		code int
		text string
	}{
		1: {-1, "told so"},
		2: {-2, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}, // the host reads its own buffer, wherever the guest points
		3: {-2147483648, "a b\uFFFD z"},
	} {
		_, err := hostile(t.Context(), p, "answer", mode, sandbox.Services{})
		var ce *sandbox.CallError
		if !errors.As(err, &ce) || ce.Kind != sandbox.KindGuest || ce.Code != want.code || ce.Text != gostrings.ReplaceAll(want.text, "\x00", " ") {
			t.Errorf("mode %d: got %+v, want code %d and text %q", mode, ce, want.code, want.text)
		}
	}
}
