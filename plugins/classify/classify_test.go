package classify

import (
	"math"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }

func TestTopLabel(t *testing.T) {
	for _, c := range []struct {
		name   string
		logits plugin.AnyTensor
		with   string
		label  string
		score  float64
		scores string
	}{
		{
			"logits", plugin.AnyOf(plugin.Of([]float32{0, 1000}, 1, 2)), `{"labels":["a","b"]}`,
			"b", 1, `[{"label":"b","score":1},{"label":"a","score":0}]`,
		},
		{
			"probabilities", plugin.AnyOf(plugin.Of([]float32{0.5, 0.25, 0.25}, 1, 3)),
			`{"labels":["a","b","c"],"softmax":false}`,
			"a", 0.5, `[{"label":"a","score":0.5},{"label":"b","score":0.25},{"label":"c","score":0.25}]`,
		},
		{
			"half precision", plugin.AnyOf(plugin.Of([]plugin.Float16{0, 0}, 1, 2)), `{"labels":["a","b"]}`,
			"a", 0.5, `[{"label":"a","score":0.5},{"label":"b","score":0.5}]`,
		},
		{
			"double precision", plugin.AnyOf(plugin.Of([]float64{1}, 1, 1)), `{"labels":["only"]}`,
			"only", 1, `[{"label":"only","score":1}]`,
		},
	} {
		out, err := TopLabel(plugintest.Context(), TopLabelIn{c.logits}, plugintest.With[TopLabelWith](t, c.with))
		if err != nil || out.Label != c.label || math.Abs(float64(out.Score)-c.score) > 1e-6 || string(out.Scores) != c.scores {
			t.Errorf("%s: got %+v %s, %v", c.name, out, out.Scores, err)
		}
	}
}

func TestTopLabelRefuses(t *testing.T) {
	for _, c := range []struct {
		logits plugin.AnyTensor
		want   string
	}{
		{plugin.AnyOf(plugin.Of([]float32{1}, 1, 1)), "knows 1 classes, labels names 2"},
		{plugin.AnyOf(plugin.Of([]float32{1, float32(math.NaN())}, 1, 2)), "NaN"},
		{plugin.AnyOf(plugin.Of([]string{"a", "b"}, 1, 2)), "no numbers"},
	} {
		_, err := TopLabel(plugintest.Context(), TopLabelIn{c.logits}, TopLabelWith{Labels: []string{"a", "b"}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	for _, doc := range []string{`{}`, `{"labels":[]}`, `{"labels":["a","a"]}`} {
		if _, err := plugin.DecodeWith[TopLabelWith]([]byte(doc)); err == nil {
			t.Errorf("%s: got no error", doc)
		}
	}
}
