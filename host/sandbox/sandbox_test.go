package sandbox_test

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	gostrings "strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/value"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && gostrings.HasPrefix(os.Args[1], "child-") {
		os.Exit(child(os.Args[1], os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

// newHost returns a host that is closed with the test.
func newHost(t testing.TB, cfg sandbox.Config) *sandbox.Host {
	t.Helper()
	if cfg.UploadTimeout == 0 {
		cfg.UploadTimeout = 10 * time.Minute // compiling takes long beside the race detector and other packages' tests
	}
	h, err := sandbox.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func moduleBytes(tb testing.TB, name string) []byte {
	tb.Helper()
	return sandboxtest.Module(tb, name)
}

// load loads one of the test plugins; it is closed with the test.
func load(t testing.TB, h *sandbox.Host, name string) *sandbox.Plugin {
	t.Helper()
	p, err := h.Load(t.Context(), sandboxtest.Module(t, name))
	if err != nil {
		t.Fatalf("load %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close plugin: %v", err)
		}
	})
	return p
}

// call calls a function and releases its result.
func call(t testing.TB, p *sandbox.Plugin, function string, in ...value.Value) *sandbox.Result {
	t.Helper()
	r, err := p.Call(t.Context(), sandbox.Call{Function: function, Inputs: in})
	if err != nil {
		t.Fatalf("call %s: %v", function, err)
	}
	r.Release()
	return r
}

func floats(f ...float32) []byte {
	var b []byte
	for _, v := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func strings(s ...string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0)
	var text []byte
	for _, v := range s {
		text = append(text, v...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	}
	return append(b, text...)
}

// everyKind is a value for every optional port of echo and copy.
func everyKind() []value.Value {
	return []value.Value{
		value.Tensor(abi.FP32, []int64{2, 3}, floats(1, 2, 3, 4, 5, 6)),
		value.Text("grüße"),
		value.JSON([]byte(`{"a":[1,null,"x"]}`)),
		value.Image([]byte("\x89PNG..."), "image/png"),
		value.Bytes([]byte{0, 1, 2}, "application/octet-stream"),
		value.List([]value.Value{
			value.Tensor(abi.UINT8, []int64{1, 2, 3}, []byte{1, 2, 3, 4, 5, 6}),
			value.Tensor(abi.UINT8, []int64{4, 0}, nil),
			value.Tensor(abi.BYTES, []int64{2}, strings("one", "")),
		}),
		value.List([]value.Value{value.Text("a"), value.Text("")}),
		value.List([]value.Value{value.Image([]byte("gif"), "image/gif"), value.Image([]byte("?"), "")}),
	}
}

func TestEveryKind(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	for _, function := range []string{"echo", "copy"} {
		in := everyKind()
		for range 3 {
			r := call(t, p, function, in...)
			if d := cmp.Diff(in, r.Outputs, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s: -want +got\n%s", function, d)
			}
		}
	}
}
