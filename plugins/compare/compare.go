// Package compare is the plugin that says whether two classifiers agree about one input, and by how much they differ. It
// records each comparison, so that the rate of agreement can be looked at afterwards.
package compare

import (
	"errors"
	"math"
	"strconv"

	"github.com/tandem-serve/tandem/plugins/internal/scores"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// Plugin describes the plugin.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name: "compare", Version: "1.0.0", Doc: "Says whether two classifiers agree, and records it.",
		Functions: []plugin.Function{
			plugin.Func("compare_labels", "agreement is the same likeliest label", Labels),
			plugin.Func("compare_scores", "agreement is no score further apart than the tolerance", Scores),
		},
	}
}

// In are two classifiers' answers for one input, side by side.
type In struct {
	A plugin.AnyTensor `tdm:"a,shape=1 n" doc:"logits, or probabilities with softmax: false; any numbers"`
	B plugin.AnyTensor `tdm:"b,shape=1 n" doc:"as a"`
}

// With configures a comparison.
type With struct {
	Labels    []string `with:"labels,required" doc:"the classes' names in the models' order"`
	Softmax   bool     `with:"softmax" default:"true" doc:"turns logits into probabilities; false takes them as they are"`
	Tolerance float64  `with:"tolerance" default:"0.05" min:"0" doc:"largest difference between two scores of a class that counts as agreement; compare_labels only reports it"`
	Stream    string   `with:"stream" default:"comparisons" doc:"where to record; empty records nothing"`
}

// Validate reports labels that cannot be told apart.
func (w *With) Validate() error { return scores.CheckLabels(w.Labels) }

// Out is how two answers compare.
type Out struct {
	Agree      bool        `tdm:"agree"`
	Difference float32     `tdm:"difference" doc:"the largest absolute difference between two scores of a class"`
	Summary    plugin.JSON `tdm:"summary" doc:"what was recorded"`
}

// difference is how far apart two answers are.
type difference struct {
	maxAbs, meanAbs, cosine, kl float64
	within                      bool // maxAbs is within the tolerance
}

// side is one answer.
type side struct {
	p   []float32
	top int
}

// Labels compares the likeliest labels of a and b.
func Labels(ctx *plugin.Context, in In, with With) (Out, error) {
	return compared(ctx, in, with, func(a, b side, _ difference) bool { return a.top == b.top })
}

// Scores compares every score of a and b.
func Scores(ctx *plugin.Context, in In, with With) (Out, error) {
	return compared(ctx, in, with, func(_, _ side, d difference) bool { return d.within })
}

func compared(ctx *plugin.Context, in In, with With, agree func(a, b side, d difference) bool) (Out, error) {
	a, err := read(in.A, with)
	if err != nil {
		return Out{}, errors.New("a: " + err.Error())
	}
	b, err := read(in.B, with)
	if err != nil {
		return Out{}, errors.New("b: " + err.Error())
	}
	d := differ(a.p, b.p, with.Tolerance)
	out := Out{Agree: agree(a, b, d), Difference: float32(d.maxAbs)}
	out.Summary = summary(out.Agree, with, a, b, d)
	if with.Stream == "" {
		return out, nil
	}
	if err := ctx.Record(with.Stream, out.Summary); err != nil {
		ctx.Log(plugin.LevelWarn, "the comparison was not recorded: "+err.Error())
	}
	return out, nil
}

func read(t plugin.AnyTensor, with With) (side, error) {
	p, err := t.Float32s()
	if err != nil {
		return side{}, err
	}
	if len(p) != len(with.Labels) {
		return side{}, errors.New("the model knows " + strconv.Itoa(len(p)) + " classes, labels names " +
			strconv.Itoa(len(with.Labels)))
	}
	for _, v := range p {
		if math.IsNaN(float64(v)) {
			return side{}, errors.New("the model's answer holds NaN")
		}
	}
	if with.Softmax {
		p = scores.Softmax(p)
	}
	return side{p: p, top: scores.Top(p)}, nil
}

// differ measures two answers of equal length. The Kullback-Leibler divergence is of b from a, in nats, and NaN where they
// are no probabilities; the cosine is NaN where one of them is nothing but zeros.
func differ(a, b []float32, tolerance float64) difference {
	var d difference
	var dot, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if x == y { // infinities too
			dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
			continue
		}
		abs := math.Abs(x - y)
		d.maxAbs = max(d.maxAbs, abs)
		d.meanAbs += abs / float64(len(a))
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
		d.kl += divergence(x, y)
	}
	d.cosine = dot / math.Sqrt(aa*bb)
	d.within = d.maxAbs <= tolerance+1e-6 // scores are single precision: 0.3 - 0.2 is above 0.1
	return d
}

// divergence returns one class' part of the divergence; a probability of 0 in b counts as 1e-12.
func divergence(x, y float64) float64 {
	if x == 0 && y >= 0 {
		return 0
	}
	return x * math.Log(x/max(y, 1e-12))
}

func summary(agree bool, with With, a, b side, d difference) plugin.JSON {
	var w plugin.JSONWriter
	w.BeginObject()
	w.Key("agree")
	w.Bool(agree)
	for _, s := range []struct {
		name string
		side
	}{{"a", a}, {"b", b}} {
		w.Key(s.name)
		w.BeginObject()
		w.Key("label")
		w.String(with.Labels[s.top])
		w.Key("score")
		w.Float32(s.p[s.top])
		w.EndObject()
	}
	for _, n := range []struct {
		name string
		v    float64
	}{
		{"max_abs_difference", d.maxAbs},
		{"mean_abs_difference", d.meanAbs},
		{"cosine", d.cosine},
		{"kl_divergence", d.kl},
		{"tolerance", with.Tolerance},
	} {
		w.Key(n.name)
		w.Float32(float32(n.v))
	}
	w.Key("within_tolerance")
	w.Bool(d.within)
	w.EndObject()
	return w.JSON()
}
