package plugin

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// guest is a plugin with a linear memory of its own, called as the server does.
type guest struct {
	*instance
	mem  memory
	buf  []byte
	used uint32
}

func newGuest(p Plugin, h Host) *guest {
	g := &guest{instance: newInstance(p, h), buf: NewTensor[uint8](1 << 20).Data, used: 64}
	g.mem = memory{base: unsafe.Pointer(&g.buf[0]), size: uint64(len(g.buf)), place: g.place}
	return g
}

func (g *guest) place(p unsafe.Pointer, n int) (uint32, error) {
	if off := uintptr(p) - uintptr(g.mem.base); off < uintptr(len(g.buf)) {
		return uint32(off), nil
	}
	return g.write(unsafe.Slice((*byte)(p), n)), nil
}

func (g *guest) write(b []byte) uint32 {
	at := (g.used + 63) &^ 63
	g.used = at + uint32(copy(g.buf[at:], b))
	return at
}

func (g *guest) values(n int) (uint32, []value) {
	at := g.write(make([]byte, n*valueSize))
	v, err := g.mem.values(at, uint32(n))
	if err != nil {
		panic(err)
	}
	return at, v
}

// fill writes the struct at src, whose fields are described by ports, as a request's inputs.
func (g *guest) fill(ports []port, src unsafe.Pointer) uint32 {
	at, v := g.values(len(ports))
	c := &call{mem: &g.mem, out: v}
	if err := c.store(ports, src); err != nil {
		panic(err)
	}
	return at
}

type answer struct {
	outcome int32
	text    string
	out     []value
}

func (g *guest) call(op uint32, in unsafe.Pointer, change func(*request)) answer {
	f := &g.plugin.Functions[min(int(op), len(g.plugin.Functions)-1)]
	inPtr := g.fill(f.in, in)
	outPtr, _ := g.values(16)
	errPtr := g.write(make([]byte, 64))
	at := g.write(make([]byte, requestSize))
	p, _ := g.mem.at(at, requestSize)
	r := (*request)(p)
	*r = request{
		magic: abiMagic, major: abiMajor, op: op, numIn: uint32(len(f.in)), inPtr: inPtr,
		outCap: 16, outPtr: outPtr, errPtr: errPtr, errCap: 64, requestID: 7, deadlineNs: 1000,
	}
	if change != nil {
		change(r)
	}
	a := answer{outcome: g.run(&g.mem, at)}
	if text, err := g.mem.at(r.errPtr, uint64(r.errLen)); err == nil {
		a.text = string(unsafe.Slice((*byte)(text), r.errLen))
	}
	a.out, _ = g.mem.values(r.outPtr, r.numOut)
	return a
}

// read returns the outputs of a call as the struct that the function returned.
func read[T any](t *testing.T, g *guest, ports []port, a answer) T {
	t.Helper()
	var out T
	c := &call{mem: &g.mem, in: a.out}
	if err := c.load(ports, unsafe.Pointer(&out)); err != nil {
		t.Fatal(err)
	}
	return out
}

type everything struct {
	Bools   Tensor[bool]      `tdm:"bools"`
	I8      Tensor[int8]      `tdm:"i8"`
	U16     Tensor[uint16]    `tdm:"u16"`
	F32     Tensor[float32]   `tdm:"f32"`
	F64     []Tensor[float64] `tdm:"f64"`
	Half    Tensor[Float16]   `tdm:"half"`
	Strings Tensor[string]    `tdm:"strings"`
	Lists   []Tensor[string]  `tdm:"lists"`
	Any     AnyTensor         `tdm:"any"`
	Anys    []AnyTensor       `tdm:"anys"`
	B       bool              `tdm:"b"`
	N       int64             `tdm:"n"`
	Text    string            `tdm:"text"`
	Texts   []string          `tdm:"texts"`
	JSON    JSON              `tdm:"json"`
	Images  []Image           `tdm:"images"`
}

func sampleValues() everything {
	return everything{
		Bools:   Of([]bool{true, false, true}, 3),
		I8:      Of([]int8{-1, 2}, 1, 2),
		U16:     NewTensor[uint16](0, 5),
		F32:     Of([]float32{1, 2, 3, 4}, 2, 2),
		F64:     []Tensor[float64]{Of([]float64{1}, 1), Of([]float64{1, 2}, 2)},
		Half:    Scalar(Float16(0x3c00)),
		Strings: Of([]string{"", "ä", "long"}, 3),
		Lists:   []Tensor[string]{Of([]string{"x"}, 1), Of([]string{}, 0)},
		Any:     AnyOf(Of([]int32{5}, 1)),
		Anys:    []AnyTensor{AnyOf(Of([]float32{5}, 1)), AnyOf(Of([]string{"q"}))},
		B:       true,
		N:       -9,
		Text:    "grüße",
		Texts:   []string{"a", "", "c"},
		JSON:    JSON(`{"a":1}`),
		Images:  []Image{Image("\xff\xd8")},
	}
}

func TestEveryKindCrossesTheBorder(t *testing.T) {
	p := Plugin{Name: "echo", Functions: []Function{
		Func("echo", "", func(_ *Context, in everything, _ None) (everything, error) { return in, nil }),
	}}
	if err := Check(p); err != nil {
		t.Fatal(err)
	}
	g := newGuest(p, nil)
	in := sampleValues()
	ports := g.plugin.Functions[0].in
	a := g.call(0, unsafe.Pointer(&in), func(r *request) { r.deadlineNs = 0 })
	if a.outcome != 0 {
		t.Fatalf("got %d %s", a.outcome, a.text)
	}
	for i, v := range a.out {
		if v.kind == kindTensor && v.dataPtr%dataAlign != 0 {
			t.Errorf("output %s starts at %d", ports[i].name, v.dataPtr)
		}
	}
	got, want := fmt.Sprintf("%+v", read[everything](t, g, ports, a)), fmt.Sprintf("%+v", in)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

type optionalPorts struct {
	T *Tensor[float32]   `tdm:"t"`
	N *int64             `tdm:"n"`
	S *string            `tdm:"s"`
	L *[]Tensor[float32] `tdm:"l"`
}

func TestOptionalPorts(t *testing.T) {
	g := newGuest(Plugin{Name: "echo", Functions: []Function{
		Func("echo", "", func(_ *Context, in optionalPorts, _ None) (optionalPorts, error) { return in, nil }),
	}}, nil)
	n, s := int64(5), "x"
	tensor := Of([]float32{1}, 1)
	list := []Tensor[float32]{tensor}
	for _, in := range []optionalPorts{{}, {T: &tensor, N: &n, S: &s, L: &list}} {
		a := g.call(0, unsafe.Pointer(&in), func(r *request) { r.deadlineNs = 0 })
		if a.outcome != 0 {
			t.Fatalf("got %d %s", a.outcome, a.text)
		}
		if got := read[optionalPorts](t, g, g.plugin.Functions[0].in, a); !reflect.DeepEqual(got, in) {
			t.Errorf("got %+v, want %+v", got, in)
		}
	}
}

type textPort struct {
	Text string `tdm:"text"`
}

type endWith struct {
	How string `with:"how" default:"ok" enum:"ok error outcome panic string other index shape"`
}

type tensorPort struct {
	T Tensor[float32] `tdm:"t"`
}

func TestHowCallsEnd(t *testing.T) {
	skip := NewOutcome("skip", 9)
	end := func(_ *Context, in textPort, with endWith) (tensorPort, error) {
		out := tensorPort{NewTensor[float32](1)}
		switch with.How {
		case "error":
			return out, errors.New("went wrong: " + in.Text)
		case "outcome":
			return out, skip
		case "panic":
			panic(errors.New("boom"))
		case "string":
			panic("bang")
		case "other":
			panic(5)
		case "index":
			out.T.Data[len(in.Text)] = 1
		case "shape":
			out.T.Shape = []int64{2}
		}
		return out, nil
	}
	long := strings.Repeat("ä", 60)
	for _, c := range []struct {
		with, in string
		outcome  int32
		text     string
	}{
		{``, "a", 0, ""},
		{`{"how":"error"}`, "a", -1, "went wrong: a"},
		{`{"how":"error"}`, long, -1, "went wrong: " + long[:52]},
		{`{"how":"outcome"}`, "a", 9, ""},
		{`{"how":"panic"}`, "a", -1, "panic: boom"},
		{`{"how":"string"}`, "a", -1, "panic: bang"},
		{`{"how":"other"}`, "a", -1, "panic: a value that is neither an error nor a string"},
		{`{"how":"index"}`, "a", -1, "panic: runtime error: index out of range [1] with length 1"},
		{`{"how":"shape"}`, "a", -1, "output t: shape [2] does not fit 1 elements"},
		{`{"how":"what"}`, "a", -1, "configuration: how: \"what\" is none of ok, error, outcome, panic,"},
	} {
		g := newGuest(Plugin{Name: "end", Functions: []Function{Func("end", "", end, skip)}}, testHost{})
		g.configure([]byte(c.with))
		in := textPort{c.in}
		a := g.call(0, unsafe.Pointer(&in), nil)
		if a.outcome != c.outcome || a.text != c.text {
			t.Errorf("%s: got %d %q, want %d %q", c.with, a.outcome, a.text, c.outcome, c.text)
		}
	}
}

func TestBadRequests(t *testing.T) {
	echo := Func("echo", "", func(_ *Context, in tensorPort, _ None) (tensorPort, error) { return in, nil })
	for _, c := range []struct {
		name   string
		change func(g *guest, r *request, in *value)
		text   string
	}{
		{"magic", func(_ *guest, r *request, _ *value) { r.magic = 1 }, "not a request of ABI version 1"},
		{"major", func(_ *guest, r *request, _ *value) { r.major = 2 }, "not a request of ABI version 1"},
		{"op", func(_ *guest, r *request, _ *value) { r.op = 1 }, "no such function"},
		{"fewer inputs", func(_ *guest, r *request, _ *value) { r.numIn = 0 }, "another number of inputs"},
		{"no room", func(_ *guest, r *request, _ *value) { r.outCap = 0 }, "room for fewer outputs"},
		{"in pointer", func(_ *guest, r *request, _ *value) { r.inPtr = 1<<32 - 1 }, "outside of memory"},
		{"out pointer", func(_ *guest, r *request, _ *value) { r.outCap = 1<<32 - 1 }, "outside of memory"},
		{"kind", func(_ *guest, _ *request, v *value) { v.kind = kindText }, "input t: got text, want tensor"},
		{"unknown kind", func(_ *guest, _ *request, v *value) { v.kind = 99 }, "got unknown kind"},
		{"dtype", func(_ *guest, _ *request, v *value) { v.dtype = 7 }, "input t: got INT64, want FP32"},
		{"rank", func(_ *guest, _ *request, v *value) { v.rank = 9 }, "more than 8"},
		{"length", func(_ *guest, _ *request, v *value) { v.dataLen = 4 }, "not as long as its shape"},
		{"dims", func(_ *guest, _ *request, v *value) { v.dims[0] = -2 }, "not as long as its shape"},
		{"data", func(_ *guest, _ *request, v *value) { v.dataLen = 1 << 40 }, "outside of memory"},
		{"absent", func(_ *guest, _ *request, v *value) { v.flags = flagAbsent }, "input t: missing"},
	} {
		g := newGuest(Plugin{Name: "echo", Functions: []Function{echo}}, testHost{})
		in := tensorPort{Of([]float32{1, 2}, 2)}
		a := g.call(0, unsafe.Pointer(&in), func(r *request) {
			v, _ := g.mem.values(r.inPtr, 1)
			c.change(g, r, &v[0])
		})
		if a.outcome != outcomeError || !strings.Contains(a.text, c.text) {
			t.Errorf("%s: got %d %q, want %q", c.name, a.outcome, a.text, c.text)
		}
	}
	g := newGuest(Plugin{Name: "echo", Functions: []Function{echo}}, testHost{})
	if got := g.run(&g.mem, 1<<30); got != outcomeError {
		t.Errorf("a request outside of memory: got %d", got)
	}
}

type testHost struct{ now *int64 }

func (testHost) Log(Level, string)                        {}
func (testHost) Record(string, JSON) error                { return ErrQuota }
func (testHost) Metric(MetricKind, string, float64) error { return nil }
func (h testHost) Now() int64 {
	if h.now == nil {
		return 0
	}
	return *h.now
}

func TestContext(t *testing.T) {
	now := int64(10)
	look := func(c *Context, _ None, _ endWith) (None, error) {
		if left, ok := c.Deadline(); left != 1000 || !ok {
			t.Errorf("got %d, %v, want 1000", left, ok)
		}
		now += 400
		if left, _ := c.Deadline(); left != 600 {
			t.Errorf("got %d, want 600", left)
		}
		now += 4000
		if left, _ := c.Deadline(); left != 0 {
			t.Errorf("got %d, want 0", left)
		}
		if c.RequestID() != 7 || string(c.Config()) != `{"how":"ok"}` {
			t.Errorf("got %d %s", c.RequestID(), c.Config())
		}
		if err := c.Record("s", JSON("{}")); !errors.Is(err, ErrQuota) {
			t.Errorf("got %v, want %v", err, ErrQuota)
		}
		return None{}, nil
	}
	g := newGuest(Plugin{Name: "look", Functions: []Function{Func("look", "", look)}}, testHost{&now})
	g.configure([]byte(`{"how":"ok"}`))
	if a := g.call(0, unsafe.Pointer(&None{}), nil); a.outcome != 0 {
		t.Errorf("got %d %s", a.outcome, a.text)
	}
	if _, ok := NewContext(testHost{}, nil, 0).Deadline(); ok {
		t.Error("got a deadline where there is none")
	}
}

func TestCallAllocatesLittle(t *testing.T) {
	g := newGuest(Plugin{Name: "echo", Functions: []Function{
		Func("echo", "", func(_ *Context, in tensorPort, _ None) (tensorPort, error) { return in, nil }),
	}}, testHost{})
	in := tensorPort{NewTensor[float32](1000)}
	inPtr := g.fill(g.plugin.Functions[0].in, unsafe.Pointer(&in))
	outPtr, _ := g.values(1)
	at := g.write(make([]byte, requestSize))
	p, _ := g.mem.at(at, requestSize)
	*(*request)(p) = request{magic: abiMagic, major: abiMajor, numIn: 1, inPtr: inPtr, outCap: 1, outPtr: outPtr}
	n := testing.AllocsPerRun(100, func() {
		if g.run(&g.mem, at) != 0 {
			t.Fatal("the call failed")
		}
	})
	if n > 5 {
		t.Errorf("got %v allocations, want at most 5", n)
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 7}, make([]byte, 16*valueSize))
	f.Fuzz(func(_ *testing.T, req, values []byte) {
		g := newGuest(Plugin{Name: "echo", Functions: []Function{
			Func("echo", "", func(_ *Context, in everything, _ None) (everything, error) { return in, nil }),
		}}, testHost{})
		in := sampleValues()
		g.call(0, unsafe.Pointer(&in), func(r *request) {
			flip(g.buf[r.inPtr:], values)
			flip(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r), 8)), requestSize-8), req)
		})
	})
}

// flip changes the bits of b that are set in mask.
func flip(b, mask []byte) {
	for i := range min(len(b), len(mask)) {
		b[i] ^= mask[i]
	}
}
