package onnx_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
)

// good returns every sound model of onnxtest by name.
func good() map[string]onnxtest.Model {
	models := map[string]onnxtest.Model{
		"add_sub":         onnxtest.AddSub(),
		"non_zero":        onnxtest.NonZero(),
		"upper":           onnxtest.Upper(),
		"zip_map_ints":    onnxtest.ZipMap([]int64{0, 1, 5}),
		"zip_map_strings": onnxtest.ZipMap([]string{"cat", "dog"}),
		"sequence":        onnxtest.Sequence(runners.FP32),
		"slow":            onnxtest.Slow(),
		"vast":            onnxtest.Vast(),
		"broken":          onnxtest.Broken(),
		"quotient":        onnxtest.Quotient(),
		"weighted":        onnxtest.Weighted([]float32{1, 2, 3}, ""),
		"scalar":          onnxtest.Identity(runners.FP32, []runners.Dim{}),
		"any_rank":        onnxtest.Identity(runners.FP32, nil),
	}
	for _, d := range allDTypes() {
		models["identity_"+strings.ToLower(d.String())] = onnxtest.Identity(d, []runners.Dim{onnxtest.Batch(), {Size: -1}})
	}
	return models
}

// bad returns unsound models by name, each with a part of the reason that Check has to give.
func bad() map[string]struct {
	model []byte
	want  string
} {
	type entry = struct {
		model []byte
		want  string
	}
	whole := onnxtest.AddSub().Bytes()
	other := onnxtest.AddSub()
	other.Graph.Nodes[0].Domain = "evil.example"
	context := onnxtest.AddSub()
	context.Graph.Nodes[0] = onnxtest.Node{Op: "EPContext", Domain: "com.microsoft", In: []string{"a"}, Out: []string{"sum"}}
	short := onnxtest.Weighted([]float32{1, 2, 3}, "")
	short.Graph.Inits[0].Dims = []int64{4}
	huge := onnxtest.Weighted([]float32{1, 2, 3}, "")
	huge.Graph.Inits[0].Dims = []int64{1 << 40, 1 << 40}
	negative := onnxtest.Weighted([]float32{1, 2, 3}, "")
	negative.Graph.Inits[0].Dims = []int64{-3}
	dtype := onnxtest.Weighted([]float32{1, 2, 3}, "")
	dtype.Graph.Inits[0].DType = 99
	future := onnxtest.AddSub()
	future.Opsets = map[string]int64{"": 99}
	noOpset := onnxtest.AddSub()
	noOpset.Opsets = map[string]int64{}
	name := onnxtest.AddSub()
	name.Graph.Inputs[0].Name = "a\xff"
	inner := onnxtest.Slow()
	loop := inner.Graph.Nodes[0].Attrs[0].Graph
	loop.Nodes[0] = onnxtest.Node{Op: "Constant", Out: []string{"next"}, Attrs: []onnxtest.Attr{
		{Name: "value", Tensor: &onnxtest.Tensor{Name: "c", DType: runners.FP32, Dims: []int64{2}, External: "../../secret"}},
	}}
	return map[string]entry{
		"empty":             {nil, "the file is empty"},
		"text":              {[]byte("hello, this is no model at all"), "not an ONNX model"},
		"png":               {[]byte("\x89PNG\r\n\x1a\n0000000"), "not an ONNX model"},
		"half":              {whole[:len(whole)/2], "damaged or cut off"},
		"one_byte_short":    {whole[:len(whole)-1], "damaged or cut off"},
		"no_graph":          {[]byte{0x08, 0x08}, "it has 0 graphs"},
		"two_graphs":        {append(slices.Clone(whole), whole...), "it has 2 graphs"},
		"external_outside":  {onnxtest.Weighted([]float32{1}, "../../etc/passwd").Bytes(), `weight "w" has its data in "../../etc/passwd", outside the model's own folder`},
		"external_absolute": {onnxtest.Weighted([]float32{1}, "/etc/passwd").Bytes(), "outside the model's own folder"},
		"external_drive":    {onnxtest.Weighted([]float32{1}, `C:\weights`).Bytes(), "outside the model's own folder"},
		"external_beside":   {onnxtest.Weighted([]float32{1}, "weights.bin").Bytes(), `in another file, "weights.bin": save the model in one file`},
		"external_in_loop":  {inner.Bytes(), `constant "c" has its data in "../../secret", outside`},
		"domain":            {other.Bytes(), `operator "Add" is of the domain "evil.example"`},
		"ep_context":        {context.Bytes(), "EPContext"},
		"weights_short":     {short.Bytes(), `weight "w" has 4 elements of 32 bits in 12 bytes`},
		"weights_huge":      {huge.Bytes(), `weight "w" has an impossible shape`},
		"weights_negative":  {negative.Bytes(), `weight "w" has an impossible shape`},
		"weights_dtype":     {dtype.Bytes(), `weight "w" is of the unknown data type 99`},
		"future_opset":      {future.Bytes(), "opset 99 of ai.onnx is unknown"},
		"no_opset":          {noOpset.Bytes(), "imports no operator set"},
		"name":              {name.Bytes(), "which is not text"},
	}
}

func allDTypes() []runners.DType {
	return []runners.DType{
		runners.FP32, runners.UINT8, runners.INT8, runners.UINT16, runners.INT16, runners.INT32, runners.INT64, runners.BYTES,
		runners.BOOL, runners.FP16, runners.FP64, runners.UINT32, runners.UINT64, runners.BF16,
	}
}

func TestCheckTakesSoundModels(t *testing.T) {
	t.Parallel()
	for name, m := range good() {
		if err := onnx.Check(m.Bytes(), onnx.Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckGivesReasons(t *testing.T) {
	t.Parallel()
	for name, b := range bad() {
		err := onnx.Check(b.model, onnx.Limits{})
		if !errors.Is(err, runners.ErrModel) || !strings.Contains(err.Error(), b.want) {
			t.Errorf("%s: got %v, want runners.ErrModel with %q", name, err, b.want)
		}
	}
}

// Every proper prefix of a model is refused: a broken upload cannot pass for a smaller model.
func TestCheckRefusesEveryPrefix(t *testing.T) {
	t.Parallel()
	whole := onnxtest.ZipMap([]string{"cat", "dog"}).Bytes()
	for n := range whole {
		if err := onnx.Check(whole[:n], onnx.Limits{}); err == nil {
			// Opset imports come last here: without the second one, the file is still a whole model of one import.
			if tail := len(whole) - n; tail > 16 {
				t.Errorf("the first %d of %d bytes pass", n, len(whole))
			}
		}
	}
}

func TestCheckGivesAllReasonsAtOnce(t *testing.T) {
	t.Parallel()
	m := onnxtest.Weighted([]float32{1}, "/a")
	m.Opsets = map[string]int64{"": 99}
	m.Graph.Nodes[0].Domain = "d"
	for i := range 40 {
		m.Graph.Inits = append(m.Graph.Inits, onnxtest.Tensor{Name: fmt.Sprintf("w%d", i), DType: runners.FP32, External: "x"})
	}
	err := onnx.Check(m.Bytes(), onnx.Limits{})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{`operator "Mul"`, `"/a", outside`, `weight "w3"`, "; and "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if n := len(err.Error()); n > 4096 {
		t.Errorf("the error has %d bytes", n)
	}
}

func TestCheckLimits(t *testing.T) {
	t.Parallel()
	nested := onnxtest.Graph{}
	for range 40 {
		inner := nested
		nested = onnxtest.Graph{Nodes: []onnxtest.Node{{Op: "If", Out: []string{"y"}, Attrs: []onnxtest.Attr{{Name: "then_branch", Graph: &inner}}}}}
	}
	own := onnxtest.AddSub()
	own.Functions = []onnxtest.Function{{Name: "Double", Domain: "our.own", Inputs: []string{"a"}, Outputs: []string{"b"}, Nodes: []onnxtest.Node{{Op: "Add", In: []string{"a", "a"}, Out: []string{"b"}}}}}
	own.Graph.Nodes[0] = onnxtest.Node{Op: "Double", Domain: "our.own", In: []string{"a"}, Out: []string{"sum"}}
	foreign := onnxtest.AddSub()
	foreign.Graph.Nodes[0].Domain = "a.friend"
	for _, test := range []struct {
		name   string
		model  []byte
		limits onnx.Limits
		want   string
	}{
		{"bytes", onnxtest.AddSub().Bytes(), onnx.Limits{MaxBytes: 100}, "at most 100 are accepted"},
		{"nodes", onnxtest.AddSub().Bytes(), onnx.Limits{MaxNodes: 1}, "more than 1 nodes"},
		{"depth", onnxtest.Model{Graph: nested}.Bytes(), onnx.Limits{}, "nest more than 16 deep"},
		{"own domain", own.Bytes(), onnx.Limits{}, ""},
		{"foreign domain", foreign.Bytes(), onnx.Limits{}, `"a.friend"`},
		{"allowed domain", foreign.Bytes(), onnx.Limits{Domains: []string{"a.friend"}}, ""},
	} {
		err := onnx.Check(test.model, test.limits)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	model := onnxtest.ZipMap([]int64{1, 2}).Bytes()
	got, err := onnx.Inspect(model, onnx.Limits{})
	want := onnx.Metadata{
		Bytes: int64(len(model)), IRVersion: onnxtest.IRVersion, Opsets: map[string]int64{"": onnxtest.Opset, "ai.onnx.ml": 3},
		GraphName: "zip_map", Nodes: 1, Dynamic: true, Operators: map[string]int{"ai.onnx.ml.ZipMap": 1},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	meta, err := onnx.Inspect(onnxtest.AddSub().Bytes(), onnx.Limits{})
	if err != nil || meta.Producer != "tandem onnxtest" || meta.Doc != "adds and subtracts" {
		t.Fatalf("got %+v, %v", meta, err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, m := range good() {
		f.Add(m.Bytes())
	}
	for _, b := range bad() {
		f.Add(b.model)
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		meta, err := onnx.Inspect(model, onnx.Limits{})
		if err != nil && !errors.Is(err, runners.ErrModel) {
			t.Fatalf("got %v, want runners.ErrModel", err)
		}
		if err != nil && len(err.Error()) > 64<<10 {
			t.Fatalf("the error has %d bytes", len(err.Error()))
		}
		if len(meta.Operators) > 1024 || len(meta.Properties) > 64 || len(meta.Opsets) > 64 {
			t.Fatalf("unbounded metadata: %d operators, %d properties, %d opsets", len(meta.Operators), len(meta.Properties), len(meta.Opsets))
		}
	})
}

func TestOCRModelsPass(t *testing.T) {
	t.Parallel()
	for _, path := range ocrModels(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := onnx.Check(b, onnx.Limits{}); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}
