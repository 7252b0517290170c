package sandbox_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// dtypes are all element types.
func dtypes() (all []abi.DType) {
	for d := range abi.DType(32) {
		if d.Valid() {
			all = append(all, d)
		}
	}
	return all
}

// tensorOf returns a tensor whose bytes count up.
func tensorOf(d abi.DType, shape ...int64) value.Value {
	n, _ := value.Elements(shape)
	if d == abi.BYTES {
		s := make([]string, n)
		for i := range s {
			s[i] = "0123456789"[:i%11]
		}
		return value.Tensor(d, shape, strings(s...))
	}
	data := make([]byte, n*int64(d.Size()))
	for i := range data {
		data[i] = byte(i)
		if d == abi.BOOL {
			data[i] &= 1
		}
	}
	return value.Tensor(d, shape, data)
}

func TestTensors(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	for _, d := range dtypes() {
		for _, shape := range [][]int64{{}, {1}, {7}, {0}, {3, 0, 2}, {2, 3, 4}, {1, 1, 1, 1, 1, 1, 1, 2}} {
			for _, function := range []string{"echo", "copy"} {
				want := tensorOf(d, shape...)
				got := call(t, p, function, want).Outputs[0]
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s of %s: -want +got\n%s", function, want.Describe(), diff)
				}
			}
		}
	}
}

func TestLists(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	long := make([]value.Value, 3000)
	for i := range long {
		long[i] = tensorOf(abi.INT16, int64(i%5), 2)
	}
	for _, items := range [][]value.Value{{}, {tensorOf(abi.FP32)}, long} {
		in := make([]value.Value, 6)
		in[5] = value.List(items)
		got := call(t, p, "copy", in...).Outputs[5]
		if diff := cmp.Diff(in[5], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("list of %d: -want +got\n%s", len(items), diff)
		}
	}
}

func TestSizes(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{MemoryLimitBytes: 64 << 20}), "values")
	for _, n := range []int64{1, 63, 64, 65, 65536, 1 << 20, 20 << 20} {
		for _, lease := range []bool{false, true} {
			in := tensorOf(abi.UINT8, n)
			r, err := p.Call(t.Context(), sandbox.Call{Function: "echo", Inputs: []value.Value{in}, Lease: lease})
			if err != nil {
				t.Fatal(err)
			}
			if string(r.Outputs[0].Data) != string(in.Data) {
				t.Errorf("%d bytes come back changed", n)
			}
			want := n
			if lease {
				want = 0
			}
			if r.BytesIn != n || r.BytesOut != want {
				t.Errorf("copied %d in, %d out, want %d, %d", r.BytesIn, r.BytesOut, n, want)
			}
			r.Release()
		}
	}
	_, err := p.Call(t.Context(), sandbox.Call{Function: "echo", Inputs: []value.Value{tensorOf(abi.UINT8, 40<<20)}})
	wantError(t, err, sandbox.KindQuota, "", "of arena")
}

func TestBoundOutputs(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	x := tensorOf(abi.UINT8, 5, 7, 3)
	for range 3 {
		y := call(t, p, "normalise", x).Outputs[0]
		if y.Describe() != "tensor FP32 [5,7,3]" {
			t.Fatalf("got %s", y.Describe())
		}
		for i, v := range x.Data {
			want := (float32(v)*(1.0/255.0) - 0.485) * (1.0 / 0.229)
			if got := math.Float32frombits(le32(y.Data[4*i:])); math.Abs(float64(got-want)) > 1e-5 {
				t.Fatalf("element %d: got %v, want %v", i, got, want)
			}
		}
	}
	a, b := value.Tensor(abi.FP32, []int64{3}, floats(1, 2, 3)), value.Tensor(abi.FP32, []int64{3}, floats(4, 5, 6))
	if got := math.Float32frombits(le32(call(t, p, "dot", a, b).Outputs[0].Data)); got != 32 {
		t.Errorf("got %v, want 32", got)
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func TestFreshEveryCall(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	for range 20 {
		if n := int64of(t, call(t, p, "count").Outputs[0]); n != 1 {
			t.Fatalf("the plugin sees call number %d, want 1", n)
		}
		if n := int64of(t, call(t, p, "slots", value.Bytes(make([]byte, 1000), "")).Outputs[0]); n != 0 {
			t.Fatalf("%d bytes of the arena are dirty", n)
		}
	}
}

func TestNamesAndOutcomes(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	if got, want := string(call(t, p, "names").Outputs[0].Data), "first,second_one,third"; got != want {
		t.Errorf("got names %q, want %q", got, want)
	}
	for _, outcome := range []int32{1, 2, 255} {
		r := call(t, p, "outcome", int32s(outcome))
		if r.Outcome != int(outcome) || !r.Outputs[0].IsZero() {
			t.Errorf("got outcome %d and %v, want %d and nothing", r.Outcome, r.Outputs[0], outcome)
		}
	}
	for outcome, want := range map[int32]struct {
		kind       sandbox.Kind
		port, text string
	}{
		0: {sandbox.KindOutput, "y", "missing"}, 3: {sandbox.KindOutput, "", "outcome 3"}, 256: {sandbox.KindOutput, "", "outcome 256"},
		-5: {sandbox.KindGuest, "", ""},
	} {
		_, err := p.Call(t.Context(), sandbox.Call{Function: "outcome", Inputs: []value.Value{int32s(outcome)}})
		wantError(t, err, want.kind, want.port, want.text)
	}
}

func TestBadInputs(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	u8 := func(shape ...int64) value.Value { return tensorOf(abi.UINT8, shape...) }
	f32 := func(n int64) value.Value { return tensorOf(abi.FP32, n) }
	short := u8(2, 2, 3)
	short.Data = short.Data[1:]
	offsets := value.Tensor(abi.BYTES, []int64{1}, []byte{0, 0, 0, 0, 9, 0, 0, 0, 'x'})
	for _, tt := range []struct {
		function, port, text string
		in                   []value.Value
	}{
		{"none", "", "no such function", nil},
		{"normalise", "x", "missing", nil},
		{"normalise", "x", "missing", []value.Value{{}}},
		{"normalise", "", "2 inputs, want at most 1", []value.Value{u8(2, 2, 3), u8(2, 2, 3)}},
		{"normalise", "x", "got text, want tensor", []value.Value{value.Text("x")}},
		{"normalise", "x", "element type is FP32, want UINT8", []value.Value{f32(3)}},
		{"normalise", "x", "shape [12] has rank 1, want 3", []value.Value{u8(12)}},
		{"normalise", "x", "dimension 2 of [2,2,4] is 4, want 3", []value.Value{u8(2, 2, 4)}},
		{"normalise", "x", "needs 12 elements of 1 bytes, the data has 11", []value.Value{short}},
		{"dot", "b", "dimension 0 of [4] is 4, want 3", []value.Value{f32(3), f32(4)}},
		{"echo", "tensor", "rank 9", []value.Value{u8(1, 1, 1, 1, 1, 1, 1, 1, 1)}},
		{"echo", "tensor", "negative", []value.Value{value.Tensor(abi.UINT8, []int64{-1}, nil)}},
		{"echo", "tensor", "overflows", []value.Value{value.Tensor(abi.UINT8, []int64{1 << 40, 1 << 40}, nil)}},
		{"echo", "tensor", "element type 77", []value.Value{value.Tensor(77, []int64{1}, []byte{1})}},
		{"echo", "tensor", "the last offset of BYTES is 9, want 1", []value.Value{offsets}},
		{"echo", "tensors", "got text, want a list of tensor", []value.Value{{}, {}, {}, {}, {}, {Kind: abi.KindText}}},
		{"echo", "texts", "item 1: got image, want text", []value.Value{{}, {}, {}, {}, {}, {}, value.List([]value.Value{value.Text(""), value.Image(nil, "")})}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			_, err := p.Call(t.Context(), sandbox.Call{Function: tt.function, Inputs: tt.in})
			wantError(t, err, sandbox.KindInput, tt.port, tt.text)
		})
	}
}

// Whatever goes in comes out, whatever was there before.
func TestEchoProperty(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "values")
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t)
		function := rapid.SampledFrom([]string{"echo", "copy"}).Draw(t, "function")
		r, err := p.Call(t.Context(), sandbox.Call{Function: function, Inputs: in, Lease: rapid.Bool().Draw(t, "lease")})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		if diff := cmp.Diff(in, r.Outputs, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	})
}

func drawInputs(t *rapid.T) []value.Value {
	tensor := rapid.Custom(func(t *rapid.T) value.Value {
		return tensorOf(rapid.SampledFrom(dtypes()).Draw(t, "dtype"), rapid.SliceOfN(rapid.Int64Range(0, 9), 0, 5).Draw(t, "shape")...)
	})
	text := rapid.Map(rapid.String(), value.Text)
	media := rapid.StringMatching(`([a-z]{1,9}/[a-z.+-]{1,30})?`)
	image := rapid.Custom(func(t *rapid.T) value.Value {
		return value.Image(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "image"), media.Draw(t, "media"))
	})
	list := func(g *rapid.Generator[value.Value]) value.Value {
		return value.List(rapid.SliceOfN(g, 0, 6).Draw(t, "list"))
	}
	in := []value.Value{
		tensor.Draw(t, "tensor"), text.Draw(t, "text"), value.JSON([]byte(`[1]`)), image.Draw(t, "image"),
		value.Bytes(rapid.SliceOfN(rapid.Byte(), 0, 90_000).Draw(t, "bytes"), ""), list(tensor), list(text), list(image),
	}
	for i := range in {
		if rapid.Bool().Draw(t, "absent") {
			in[i] = value.Value{}
		}
	}
	return in
}
