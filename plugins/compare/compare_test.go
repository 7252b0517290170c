package compare

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }

func probabilities(v ...float32) plugin.AnyTensor {
	return plugin.AnyOf(plugin.Of(v, 1, int64(len(v))))
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name           string
		a, b           plugin.AnyTensor
		with           string
		labels, scores bool // do they agree?
		difference     float64
	}{
		{"equal", probabilities(0.25, 0.75), probabilities(0.25, 0.75), `"softmax":false`, true, true, 0},
		{"a little apart", probabilities(0.25, 0.75), probabilities(0.28, 0.72), `"softmax":false`, true, true, 0.03},
		{"far apart, same label", probabilities(0.1, 0.9), probabilities(0.4, 0.6), `"softmax":false`, true, false, 0.3},
		{"close, other label", probabilities(0.49, 0.51), probabilities(0.51, 0.49), `"softmax":false`, false, true, 0.02},
		{"on the tolerance", probabilities(0.2, 0.8), probabilities(0.3, 0.7), `"softmax":false,"tolerance":0.1`, true, true, 0.1},
		{"logits", probabilities(0, 0), probabilities(5, 5), ``, true, true, 0},
		{
			"other types", plugin.AnyOf(plugin.Of([]float64{0, 0}, 1, 2)), plugin.AnyOf(plugin.Of([]plugin.Float16{0, 0}, 1, 2)),
			``, true, true, 0,
		},
	} {
		doc := `{"labels":["negative","positive"]}`
		if c.with != "" {
			doc = doc[:len(doc)-1] + "," + c.with + "}"
		}
		with := plugintest.With[With](t, doc)
		for name, f := range map[string]struct {
			run  func(*plugin.Context, In, With) (Out, error)
			want bool
		}{"labels": {Labels, c.labels}, "scores": {Scores, c.scores}} {
			r := &plugintest.Recorder{}
			out, err := f.run(r.Context(), In{c.a, c.b}, with)
			if err != nil || out.Agree != f.want || math.Abs(float64(out.Difference)-c.difference) > 1e-6 {
				t.Errorf("%s, %s: got %+v, %v, want %v %v", c.name, name, out, err, f.want, c.difference)
			}
			if len(r.Records) != 1 || r.Records[0].Stream != "comparisons" || string(r.Records[0].Doc) != string(out.Summary) {
				t.Errorf("%s, %s: recorded %+v", c.name, name, r.Records)
			}
		}
	}
}

func TestSummary(t *testing.T) {
	with := plugintest.With[With](t, `{"labels":["no","yes"],"softmax":false,"stream":""}`)
	r := &plugintest.Recorder{}
	out, err := Labels(r.Context(), In{probabilities(0.5, 0.5), probabilities(0.25, 0.75)}, with)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"agree":false,"a":{"label":"no","score":0.5},"b":{"label":"yes","score":0.75},` +
		`"max_abs_difference":0.25,"mean_abs_difference":0.25,"cosine":0.8944272,"kl_divergence":0.14384104,` +
		`"tolerance":0.05,"within_tolerance":false}`
	if string(out.Summary) != want {
		t.Errorf("got\n%s\nwant\n%s", out.Summary, want)
	}
	if len(r.Records) != 0 {
		t.Errorf("recorded %+v without a stream", r.Records)
	}
}

func TestRecordingThatFailsIsLogged(t *testing.T) {
	r := &plugintest.Recorder{RecordError: plugin.ErrQuota}
	with := plugintest.With[With](t, `{"labels":["no","yes"]}`)
	if _, err := Labels(r.Context(), In{probabilities(1, 2), probabilities(1, 2)}, with); err != nil {
		t.Fatal(err)
	}
	if len(r.Lines) != 1 || !strings.Contains(r.Lines[0].Text, "quota") {
		t.Errorf("logged %+v", r.Lines)
	}
}

func TestCompareRefuses(t *testing.T) {
	with := plugintest.With[With](t, `{"labels":["no","yes"]}`)
	for _, c := range []struct {
		a, b plugin.AnyTensor
		want string
	}{
		{probabilities(1), probabilities(1, 2), "a: the model knows 1 classes"},
		{probabilities(1, 2), probabilities(1, 2, 3), "b: the model knows 3 classes"},
		{probabilities(1, 2), probabilities(1, float32(math.NaN())), "b: the model's answer holds NaN"},
	} {
		_, err := Labels(plugintest.Context(), In{c.a, c.b}, with)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestSummaryIsAlwaysJSON feeds any numbers: infinities and zeros must not break the document.
func TestSummaryIsAlwaysJSON(t *testing.T) {
	numbers := rapid.SliceOfN(rapid.Float32(), 3, 3)
	rapid.Check(t, func(rt *rapid.T) {
		with := With{Labels: []string{"a", "b", "c"}, Softmax: rapid.Bool().Draw(rt, "softmax"), Tolerance: 0.1}
		out, err := Scores(plugintest.Context(), In{
			probabilities(numbers.Draw(rt, "a")...), probabilities(numbers.Draw(rt, "b")...),
		}, with)
		if err == nil && !json.Valid(out.Summary) {
			rt.Errorf("not JSON: %s", out.Summary)
		}
	})
}
