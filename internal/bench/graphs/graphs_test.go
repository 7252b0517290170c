package graphs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/internal/bench/report"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/sdk/client"
)

const definition = `
graph: g
inputs: {photo: image}
outputs: {x: {from: b.y}}
nodes:
  cut: {plugin: p, call: f, in: {image: photo}}
  a:   {model: m, in: {x: cut.x, y: cut.y}}
  b:   {model: n, each: cut.items, in: {x: cut.items}}
`

func TestCaptureAsksForWhatModelsGet(t *testing.T) {
	doc, err := captureDocument([]byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	from := func(ref string) map[string]any { return map[string]any{"from": ref} }
	want := map[string]any{"x": from("b.y"), "a_x": from("cut.x"), "a_y": from("cut.y"), "b_x": from("cut.items")}
	if diff := cmp.Diff(want, doc.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	out := map[string]*tandemv1.Value{}
	for name := range maps.Keys(want) {
		out[name] = client.Text(name)
	}
	got, err := doc.collect(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].model != "m" || len(got[0].in) != 2 || got[1].model != "n" || got[1].in["x"] != out["b_x"] {
		t.Errorf("got %+v", got)
	}
	delete(out, "a_y")
	if _, err := doc.collect(out); err == nil {
		t.Error("got no error for an output that is missing")
	}
}

func TestItems(t *testing.T) {
	one := client.Int64s([]int64{1, 2}, []int64{3, 4})
	for _, c := range []struct {
		name string
		v    *tandemv1.Value
		want int
	}{
		{"a tensor", one, 1},
		{"a list", client.List(one, one, one), 3},
		{"no items", client.List(), 0},
		{"text", client.Text("x"), -1},
		{"strings", client.Tensor(tandemv1.DataType_DATA_TYPE_BYTES, []int64{0}, nil), -1},
	} {
		got, err := items(c.v)
		if (err != nil) != (c.want < 0) || err == nil && len(got) != c.want {
			t.Errorf("%s: got %d tensors and error %v, want %d", c.name, len(got), err, c.want)
		}
		if len(got) > 0 && (got[0].DType != runners.INT64 || got[0].Check() != nil) {
			t.Errorf("%s: got %+v", c.name, got[0])
		}
	}
}

func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	r := report.New(t.Context(), "graphs")
	r.Quick = true
	if err := Suite().Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"side-by-side x4 server p99", "ocr-sentiment x1 server/bare throughput", "ocr-sentiment bytes copied"} {
		if !slices.ContainsFunc(r.Results, func(res report.Result) bool { return res.Name == want && res.Value > 0 }) {
			t.Errorf("no figure %q", want)
		}
	}
	for _, res := range r.Results {
		if res.Value <= 0 && !strings.HasSuffix(res.Name, "bytes copied") {
			t.Errorf("got %+v, want a positive value", res)
		}
	}
}
