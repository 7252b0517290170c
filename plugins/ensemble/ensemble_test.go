package ensemble

import (
	"math"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }

// models has "weak", which is 60 % sure of the first label, "strong", which is 90 % sure of the second and wants bigrams,
// "odd", which knows three classes, and "broken".
func models() *plugintest.Recorder {
	logits := func(p ...float32) ([]plugin.Named, error) {
		for i := range p {
			p[i] = float32(math.Log(float64(p[i])))
		}
		return []plugin.Named{plugin.Input("logits", plugin.Of(p, 1, int64(len(p))))}, nil
	}
	return &plugintest.Recorder{Models: map[string]func([]plugin.Named) ([]plugin.Named, error){
		"weak": func(in []plugin.Named) ([]plugin.Named, error) {
			if len(in) != 1 || in[0].Name != "ids" {
				return nil, plugin.ErrModel
			}
			return logits(0.6, 0.4)
		},
		"strong": func(in []plugin.Named) ([]plugin.Named, error) {
			if len(in) != 2 || in[1].Name != "bigrams" {
				return nil, plugin.ErrModel
			}
			return logits(0.1, 0.9)
		},
		"odd":    func([]plugin.Named) ([]plugin.Named, error) { return logits(0.1, 0.2, 0.7) },
		"broken": func([]plugin.Named) ([]plugin.Named, error) { return nil, plugin.ErrModel },
	}}
}

func input() In {
	bigrams := plugin.Of([]int64{3}, 1, 1)
	return In{IDs: plugin.Of([]int64{1, 2}, 1, 2), Bigrams: &bigrams}
}

func TestAverageAndCascade(t *testing.T) {
	const both = `{"labels":["a","b"],"models":[{"model":"weak"},{"model":"strong","bigrams":true}]`
	for _, tc := range []struct {
		name, with string
		f          func(*plugin.Context, In, With) (Out, error)
		want       Out
		fails      string
	}{
		{"average", both + "}", Average, Out{"b", 0.65, 2}, ""},
		{"not sure enough", both + "}", Cascade, Out{"b", 0.9, 2}, ""},
		{"sure enough", both + `,"sure_from":0.5}`, Cascade, Out{"a", 0.6, 1}, ""},
		{"not granted", `{"labels":["a","b"],"models":[{"model":"other"}]}`, Average, Out{}, "model other: denied"},
		{"not granted, in turn", `{"labels":["a","b"],"models":[{"model":"other"}]}`, Cascade, Out{}, "model other: denied"},
		{"fails", `{"labels":["a","b"],"models":[{"model":"weak"},{"model":"broken"}]}`, Average, Out{}, "the model failed"},
		{"fails in turn", `{"labels":["a","b"],"models":[{"model":"broken"}]}`, Cascade, Out{}, "the model failed"},
		{"classes", `{"labels":["a","b"],"models":[{"model":"odd"}]}`, Average, Out{}, "model odd knows 3 classes, labels names 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.f(models().Context(), input(), plugintest.With[With](t, tc.with))
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Fatalf("got %v, want %q", err, tc.fails)
				}
				return
			}
			if err != nil || got.Label != tc.want.Label || got.Asked != tc.want.Asked || math.Abs(float64(got.Score-tc.want.Score)) > 1e-6 {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

func TestWithNeedsModels(t *testing.T) {
	if _, err := plugin.DecodeWith[With]([]byte(`{"labels":["a"],"models":[]}`)); err == nil || !strings.Contains(err.Error(), "models is empty") {
		t.Errorf("got %v", err)
	}
}
