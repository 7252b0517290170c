// Package classify is the plugin that reads a classifier's answer: which label, how sure, and the scores of all.
package classify

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/tandem-serve/tandem/plugins/internal/scores"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// Plugin describes the plugin.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name: "classify", Version: "1.0.0", Doc: "Reads a classifier's answer.",
		Functions: []plugin.Function{
			plugin.Func("top_label", "the likeliest label of one input", TopLabel),
		},
	}
}

// TopLabelIn is a classifier's answer for one input.
type TopLabelIn struct {
	Logits plugin.AnyTensor `tdm:"logits,shape=1 n" doc:"logits, or probabilities with softmax: false; any numbers"`
}

// TopLabelWith configures TopLabel.
type TopLabelWith struct {
	Labels  []string `with:"labels,required" doc:"the classes' names in the model's order"`
	Softmax bool     `with:"softmax" default:"true" doc:"turns logits into probabilities; false takes them as they are"`
}

// Validate reports labels that cannot be told apart.
func (w *TopLabelWith) Validate() error { return scores.CheckLabels(w.Labels) }

// TopLabelOut is the answer in words.
type TopLabelOut struct {
	Label  string      `tdm:"label"`
	Score  float32     `tdm:"score" doc:"the label's probability"`
	Scores plugin.JSON `tdm:"scores" doc:"[{label, score}, ...], likeliest first"`
}

// TopLabel returns the likeliest label; the first of equals wins.
func TopLabel(_ *plugin.Context, in TopLabelIn, with TopLabelWith) (TopLabelOut, error) {
	p, err := in.Logits.Float32s()
	if err != nil {
		return TopLabelOut{}, err
	}
	if len(p) != len(with.Labels) {
		return TopLabelOut{}, errors.New("the model knows " + strconv.Itoa(len(p)) + " classes, labels names " +
			strconv.Itoa(len(with.Labels)))
	}
	for _, v := range p {
		if math.IsNaN(float64(v)) {
			return TopLabelOut{}, errors.New("the model's answer holds NaN")
		}
	}
	if with.Softmax {
		p = scores.Softmax(p)
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
	var w plugin.JSONWriter
	w.BeginArray()
	for _, i := range order {
		w.BeginObject()
		w.Key("label")
		w.String(with.Labels[i])
		w.Key("score")
		w.Float32(p[i])
		w.EndObject()
	}
	w.EndArray()
	best := order[0]
	return TopLabelOut{Label: with.Labels[best], Score: p[best], Scores: w.JSON()}, nil
}
