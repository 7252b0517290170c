package conformance_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// modules returns the conformance plugin of each SDK.
func modules(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"go": buildGo(t, "./goplugin")}
	for _, sdk := range committed {
		all[sdk] = readModule(t, sdk+"/conformance.wasm")
	}
	return all
}

// committed are the SDKs whose modules stand in the repository, so that nobody needs their compilers: see ../modules.sh.
var committed = []string{"as", "c", "cpp", "rust", "zig"}

func readModule(t testing.TB, file string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// buildGo builds a plugin in Go.
func buildGo(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, b)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// suite is a loaded conformance plugin.
type suite struct {
	p     *sandbox.Plugin
	reset string // how its host resets instances
}

// load loads a module; a loaded machine may take long over it.
func load(t testing.TB, wasm []byte) suite {
	t.Helper()
	h, err := sandbox.New(t.Context(), sandbox.Config{
		UploadTimeout: 2 * time.Minute, DescribeTimeout: time.Minute, CallTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	p, err := h.Load(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return suite{p, h.Stats().Reset}
}

func (s suite) call(t *testing.T, c sandbox.Call) *sandbox.Result {
	t.Helper()
	r, err := s.p.Call(t.Context(), c)
	if err != nil {
		t.Fatalf("%s: %v", c.Function, err)
	}
	r.Release()
	return r
}

// outputs calls a function without configuration.
func (s suite) outputs(t *testing.T, function string, in ...value.Value) []value.Value {
	t.Helper()
	return s.call(t, sandbox.Call{Function: function, Inputs: in}).Outputs
}

func same(t *testing.T, what string, got, want []value.Value) {
	t.Helper()
	// Byte by byte cmp takes seconds for a MiB.
	whole := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), whole); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func TestConformance(t *testing.T) {
	for sdk, wasm := range modules(t) {
		t.Run(sdk, func(t *testing.T) {
			s := load(t, wasm)
			t.Run("description", s.description)
			t.Run("kinds", s.kinds)
			t.Run("dtypes", s.dtypes)
			t.Run("lists", s.lists)
			t.Run("strings", s.strings)
			t.Run("optional", s.optional)
			t.Run("configuration", s.configuration)
			t.Run("errors", s.errors)
			t.Run("services", s.services)
			t.Run("isolation", s.isolation)
			t.Run("room", s.room)
			t.Run("bad", s.bad)
			t.Run("models", s.models)
			t.Run("documents", s.documents)
		})
	}
}

// description holds the plugins to one description, but for the order of keys.
func (s suite) description(t *testing.T) {
	var want abi.Description
	data, err := os.ReadFile("description.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.p.Description(), equateJSON()); diff != "" {
		t.Errorf("description differs (-want +got):\n%s", diff)
	}
}

func equateJSON() cmp.Option {
	return cmp.Transformer("json", func(doc json.RawMessage) any {
		var v any
		_ = json.Unmarshal(doc, &v) // the sandbox has read it before
		return v
	})
}

func (s suite) kinds(t *testing.T) {
	for _, in := range [][]value.Value{
		{
			value.Text("grüße\x00\n"), value.JSON([]byte(`{"a": [1, null]}`)), value.Bytes([]byte{0, 255}, "application/x-test"),
			value.Image([]byte("\x89PNG"), "image/png"), value.Tensor(abi.FP32, []int64{2}, floats(1, -2)),
		},
		{
			value.Text(""), value.JSON([]byte(`0`)), value.Bytes(nil, ""), value.Image(nil, ""),
			value.Tensor(abi.UINT8, []int64{0, 3}, nil),
		},
	} {
		got := s.outputs(t, "echo", in...)
		for i := range got { // no SDK hands media types on
			in[i].Media, got[i].Media = "", ""
		}
		same(t, "echo", got, in)
	}
}

func (s suite) dtypes(t *testing.T) {
	for d := abi.FP32; d <= abi.BF16; d++ {
		if !d.Valid() || d == abi.BYTES {
			continue
		}
		for _, shape := range [][]int64{{}, {0}, {3}, {2, 0, 5}, {2, 3}, {1, 1, 1, 1, 1, 1, 1, 2}} {
			n, _ := value.Elements(shape)
			data := make([]byte, int(n)*d.Size())
			for i := range data {
				data[i] = byte(i) & 1
			}
			in := value.Tensor(d, shape, data)
			same(t, in.Describe(), s.outputs(t, "copy", in), []value.Value{in})
		}
	}
	big := value.Tensor(abi.UINT8, []int64{3 << 20}, []byte(strings.Repeat("abc", 1<<20)))
	same(t, "3 MiB", s.outputs(t, "copy", big), []value.Value{big})
	for _, words := range [][]string{{}, {""}, {"a", "", "grüße"}} {
		in := bytesTensor(words...)
		same(t, in.Describe(), s.outputs(t, "copy", in), []value.Value{in})
	}
}

func (s suite) lists(t *testing.T) {
	a := value.Tensor(abi.FP32, []int64{1, 2}, floats(1, 2))
	b := value.Tensor(abi.FP32, []int64{2, 2}, floats(3, 4, 5, 6))
	empty := value.Tensor(abi.FP32, []int64{0, 2}, nil)
	texts := value.List([]value.Value{value.Text("x"), value.Text(""), value.Text("y")})
	same(t, "reverse", s.outputs(t, "reverse", value.List([]value.Value{a, empty, b}), texts),
		[]value.Value{value.List([]value.Value{b, empty, a}), value.List([]value.Value{value.Text("y"), value.Text(""), value.Text("x")})})
	same(t, "nothing", s.outputs(t, "reverse", value.List(nil), value.List(nil)), []value.Value{value.List(nil), value.List(nil)})

	for _, n := range []int64{0, 1, 3, 1000} {
		var want []value.Value
		for i := range n {
			v := value.Tensor(abi.FP32, []int64{i}, nil)
			for range i {
				v.Data = append(v.Data, floats(float32(i))...)
			}
			want = append(want, v)
		}
		same(t, "make", s.outputs(t, "make", scalar(n)), []value.Value{value.List(want)})
	}
}

func (s suite) strings(t *testing.T) {
	for _, words := range [][]string{{}, {""}, {"a", "", "grüße"}} {
		var want []byte
		for _, w := range words {
			want = binary.LittleEndian.AppendUint64(want, uint64(len(w)))
		}
		same(t, "lengths", s.outputs(t, "lengths", bytesTensor(words...)),
			[]value.Value{value.Tensor(abi.INT64, []int64{int64(len(words))}, want)})
	}
}

func (s suite) optional(t *testing.T) {
	tensor, text := value.Tensor(abi.FP32, []int64{1}, floats(1)), value.Text("x")
	for _, c := range []struct {
		given  string
		tensor value.Value
		text   value.Value
	}{
		{"none", value.Value{}, value.Value{}},
		{"tensor", tensor, value.Value{}},
		{"text", value.Value{}, text},
		{"both", tensor, text},
	} {
		same(t, c.given, s.outputs(t, "optional", c.tensor, c.text), []value.Value{value.Text(c.given), c.tensor, c.text})
	}
}

func (s suite) configuration(t *testing.T) {
	in := value.Tensor(abi.FP32, []int64{2}, floats(1, -3))
	for with, want := range map[string][]byte{
		``:                               floats(2, -6),
		`{}`:                             floats(2, -6),
		`{"factor":0.5}`:                 floats(0.5, -1.5),
		`{"factor":1e1,"negate":true}`:   floats(-10, 30),
		`{"factor":-2.5,"negate":false}`: floats(-2.5, 7.5),
	} {
		r := s.call(t, sandbox.Call{Function: "scale", With: json.RawMessage(with), Inputs: []value.Value{in}})
		same(t, with, r.Outputs, []value.Value{value.Tensor(abi.FP32, []int64{2}, want)})
	}
}

func (s suite) errors(t *testing.T) {
	for _, text := range []string{"it went wrong", "grüße"} {
		_, err := s.p.Call(t.Context(), sandbox.Call{Function: "fail", Inputs: []value.Value{value.Text(text)}})
		var e *sandbox.CallError
		if !errors.As(err, &e) || e.Kind != sandbox.KindGuest || e.Text != text || e.Function != "fail" {
			t.Errorf("got %v, want a guest's error %q", err, text)
		}
	}
	_, err := s.p.Call(t.Context(), sandbox.Call{Function: "fail", Inputs: []value.Value{value.Text(strings.Repeat("é", 4000))}})
	var e *sandbox.CallError
	if !errors.As(err, &e) || e.Kind != sandbox.KindGuest || !strings.HasPrefix(e.Text, strings.Repeat("é", 500)) {
		t.Errorf("got %.100v, want the beginning of a long text", err)
	}
	if r := s.call(t, sandbox.Call{Function: "skip"}); r.Outcome != 7 {
		t.Errorf("got outcome %d, want 7", r.Outcome)
	}
	_, err = s.p.Call(t.Context(), sandbox.Call{Function: "make", Inputs: []value.Value{scalar(-1)}})
	if !errors.As(err, &e) || e.Kind != sandbox.KindGuest || e.Text != "n is not in 0..1000" {
		t.Errorf("got %v", err)
	}
}

func (s suite) services(t *testing.T) {
	var told []string
	services := sandbox.Services{
		Record: func(_ context.Context, stream string, doc []byte) error {
			told = append(told, "record "+stream+" "+string(doc))
			return nil
		},
		Log: func(_ context.Context, level slog.Level, text string) { told = append(told, level.String()+" "+text) },
		Metric: func(_ context.Context, kind sandbox.MetricKind, name string, v float64) {
			if kind == sandbox.MetricGauge && v == 2.5 {
				told = append(told, "gauge "+name)
			}
		},
	}
	doc := value.JSON([]byte(`{"a":1}`))
	yes, no := value.Tensor(abi.BOOL, nil, []byte{1}), value.Tensor(abi.BOOL, nil, []byte{0})
	r := s.call(t, sandbox.Call{Function: "tell", Inputs: []value.Value{doc}, Services: services})
	same(t, "tell", r.Outputs, []value.Value{yes})
	if diff := cmp.Diff([]string{"WARN told", "gauge told", `record told {"a":1}`}, told); diff != "" {
		t.Errorf("services differ (-want +got):\n%s", diff)
	}
	services.Record = func(context.Context, string, []byte) error { return sandbox.ErrQuota }
	r = s.call(t, sandbox.Call{Function: "tell", Inputs: []value.Value{doc}, Services: services})
	same(t, "tell", r.Outputs, []value.Value{no})
}

func (s suite) isolation(t *testing.T) {
	for range 3 {
		same(t, "count", s.outputs(t, "count"), []value.Value{scalar(1)})
	}
}

// room: a call of common size does not make the module grow, which would cost a new instance every time.
func (s suite) room(t *testing.T) {
	if s.reset != "scan" {
		t.Skipf("instances are reset by %q: it is not known what a call wrote", s.reset)
	}
	in := value.Tensor(abi.UINT8, []int64{256 << 10}, make([]byte, 256<<10))
	for range 3 {
		if r := s.call(t, sandbox.Call{Function: "copy", Inputs: []value.Value{in}}); r.DirtyPages < 0 {
			t.Errorf("a call with %d KiB made the memory grow to %d KiB", len(in.Data)>>10, r.MemoryBytes>>10)
		}
	}
}

// bad: a tensor whose shape does not fit its data never leaves a plugin.
func (s suite) bad(t *testing.T) {
	for _, n := range []int64{0, 1, 100} {
		_, err := s.p.Call(t.Context(), sandbox.Call{Function: "bad", Inputs: []value.Value{scalar(n)}})
		var e *sandbox.CallError
		if !errors.As(err, &e) || e.Kind != sandbox.KindGuest && e.Kind != sandbox.KindOutput {
			t.Errorf("got %v, want a refused output", err)
		}
	}
}

// double is a server that grants the models double, which works, and broken, which does not.
type double struct{}

func (double) Open(_ context.Context, name string) (int, error) {
	switch name {
	case "double":
		return 5, nil
	case "broken":
		return 6, nil
	default:
		return 0, sandbox.ErrDenied
	}
}

func (double) Run(_ context.Context, model int, in []sandbox.ModelValue) ([]sandbox.ModelValue, error) {
	if model != 5 {
		return nil, errors.New("it is broken")
	}
	if len(in) != 1 || in[0].Name != "x" && in[0].Name != "" {
		return nil, errors.New("want one input, x")
	}
	y := in[0].Value
	y.Data = nil
	for i := 0; i < len(in[0].Value.Data); i += 4 {
		y.Data = append(y.Data, floats(2*math.Float32frombits(binary.LittleEndian.Uint32(in[0].Value.Data[i:])))...)
	}
	return []sandbox.ModelValue{{Name: "y", Value: y}, {Name: "doc", Value: value.JSON([]byte(explanation))}}, nil
}

// explanation is what a model answers whose output is a sequence of maps.
const explanation = `[{"no":0.25,"yes":0.75},{"größer":1}]`

func (s suite) models(t *testing.T) {
	services := sandbox.Services{Models: double{}}
	in := func(how string) []value.Value {
		return []value.Value{value.Text(how), value.Tensor(abi.FP32, []int64{2}, floats(1, -1.5))}
	}
	for how, want := range map[string][]byte{"run": floats(2, -3), "hand": floats(4, -6), "many": floats(6, -9)} {
		r := s.call(t, sandbox.Call{Function: "ask", Inputs: in(how), Services: services})
		same(t, how, r.Outputs, []value.Value{value.Tensor(abi.FP32, []int64{2}, want)})
	}
	for how, want := range map[string]string{"denied": "denied", "fail": "the model failed", "missing": "not found"} {
		_, err := s.p.Call(t.Context(), sandbox.Call{Function: "ask", Inputs: in(how), Services: services})
		var e *sandbox.CallError
		if !errors.As(err, &e) || e.Kind != sandbox.KindGuest || !strings.Contains(e.Text, want) {
			t.Errorf("%s: got %v, want %q", how, err, want)
		}
	}
}

// documents: a model's answer may be a JSON document, beside tensors; neither is taken for the other.
func (s suite) documents(t *testing.T) {
	c := sandbox.Call{
		Function: "explain", Services: sandbox.Services{Models: double{}},
		Inputs: []value.Value{value.Tensor(abi.FP32, []int64{2}, floats(1, -1.5))},
	}
	same(t, "explain", s.call(t, c).Outputs, []value.Value{value.JSON([]byte(explanation))})
}

// TestExamples runs the examples of the SDKs for C, C++ and Go.
func TestExamples(t *testing.T) {
	fromC, err := os.ReadFile("../c/examples/vector.wasm")
	if err != nil {
		t.Fatal(err)
	}
	vector := load(t, fromC)
	a, b := value.Tensor(abi.FP32, []int64{2}, floats(3, 4)), value.Tensor(abi.FP32, []int64{2}, floats(1, 0.5))
	r := vector.call(t, sandbox.Call{Function: "add", With: json.RawMessage(`{"scale":2}`), Inputs: []value.Value{a, b}})
	same(t, "add", r.Outputs, []value.Value{value.Tensor(abi.FP32, []int64{2}, floats(5, 5))})
	same(t, "dot", vector.outputs(t, "dot", a, b), []value.Value{value.Tensor(abi.FP32, nil, floats(5))})
	same(t, "normalise", vector.outputs(t, "normalise", a), []value.Value{value.Tensor(abi.FP32, []int64{2}, floats(0.6, 0.8))})
	_, err = vector.p.Call(t.Context(), sandbox.Call{Function: "normalise", Inputs: []value.Value{value.Tensor(abi.FP32, []int64{1}, floats(0))}})
	if err == nil || !strings.Contains(err.Error(), "a vector of zeros has no direction") {
		t.Errorf("got %v", err)
	}

	for _, wasm := range [][]byte{
		buildGo(t, "github.com/tandem-serve/tandem/sdk/go/examples/shout"), readModule(t, "../c/examples/shout.wasm"),
	} {
		shout := load(t, wasm)
		r = shout.call(t, sandbox.Call{Function: "shout", With: json.RawMessage(`{"marks":2}`), Inputs: []value.Value{value.Text("hello")}})
		same(t, "shout", r.Outputs, []value.Value{value.Text("HELLO!!"), scalar(7)})
	}
}

// TestCommittedModules holds the committed modules to their sources, where the compiler that made them is installed.
func TestCommittedModules(t *testing.T) {
	for _, sdk := range committed {
		t.Run(sdk, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "../modules.sh", "check", sdk).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if bytes.HasPrefix(out, []byte("skipped")) {
				t.Skipf("%s", out)
			}
		})
	}
}

// TestWrongDeclaration: what is wrong with a declaration reaches the one who pushes a plugin, in every language.
func TestWrongDeclaration(t *testing.T) {
	h, err := sandbox.New(t.Context(), sandbox.Config{UploadTimeout: 2 * time.Minute, DescribeTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.WithoutCancel(t.Context())) })
	wrong := map[string][]byte{"go": buildGo(t, "./wrongplugin")}
	for _, sdk := range committed {
		wrong[sdk] = readModule(t, sdk+"/wrong.wasm")
	}
	for sdk, wasm := range wrong {
		_, err = h.Load(t.Context(), wasm)
		var e *sandbox.RejectError
		if !errors.As(err, &e) || !strings.Contains(e.Error(), `"a b"`) {
			t.Errorf("%s: got %v, want the port's name", sdk, err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	for sdk, wasm := range modules(b) {
		s := load(b, wasm)
		for _, c := range []sandbox.Call{
			{Function: "count"},
			{Function: "scale", Inputs: []value.Value{value.Tensor(abi.FP32, []int64{1000}, make([]byte, 4000))}},
		} {
			b.Run(sdk+"/"+c.Function, func(b *testing.B) {
				for b.Loop() {
					r, err := s.p.Call(b.Context(), c)
					if err != nil {
						b.Fatal(err)
					}
					r.Release()
				}
			})
		}
	}
}

func floats(f ...float32) []byte {
	var b []byte
	for _, v := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func scalar(n int64) value.Value {
	return value.Tensor(abi.INT64, nil, binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func bytesTensor(words ...string) value.Value {
	b := binary.LittleEndian.AppendUint32(nil, 0)
	end := uint32(0)
	for _, w := range words {
		end += uint32(len(w))
		b = binary.LittleEndian.AppendUint32(b, end)
	}
	return value.Tensor(abi.BYTES, []int64{int64(len(words))}, append(b, strings.Join(words, "")...))
}
