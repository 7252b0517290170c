// Package ensemble is the plugin that asks several classifiers itself: all of them at once, or a second one only when the
// first is not sure. The node lists them in may_call.
package ensemble

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
		Name: "ensemble", Version: "1.0.0", Doc: "Asks several classifiers and says what they say together.",
		Functions: []plugin.Function{
			plugin.Func("average", "asks all models at once and averages their probabilities", Average),
			plugin.Func("cascade", "asks one model after the other until one is sure", Cascade),
		},
	}
}

// In is what the models read.
type In struct {
	IDs     plugin.Tensor[int64]  `tdm:"ids,shape=1 n" doc:"token ids"`
	Bigrams *plugin.Tensor[int64] `tdm:"bigrams,shape=1 m" doc:"for the models that have an input of that name"`
}

// With names the models.
type With struct {
	Models   []Member `with:"models,required" doc:"the models, in the order in which they are asked"`
	Labels   []string `with:"labels,required" doc:"the classes' names in the models' order"`
	SureFrom float64  `with:"sure_from" default:"0.9" min:"0" max:"1" doc:"cascade: the probability at which no other model is asked"`
}

// Member is one model.
type Member struct {
	Model   string `with:"model,required" doc:"its name in the node's may_call"`
	Bigrams bool   `with:"bigrams" doc:"whether it reads the bigrams too"`
}

// Validate reports labels that cannot be told apart, and no models.
func (w *With) Validate() error {
	if len(w.Models) == 0 {
		return errors.New("models is empty")
	}
	return scores.CheckLabels(w.Labels)
}

// Out is what they say together.
type Out struct {
	Label string  `tdm:"label"`
	Score float32 `tdm:"score" doc:"the label's probability"`
	Asked int64   `tdm:"asked" doc:"how many models were asked"`
}

// Average starts every model, waits for all, and averages the probabilities.
func Average(ctx *plugin.Context, in In, with With) (Out, error) {
	tickets := make([]*plugin.Ticket, len(with.Models))
	for i, m := range with.Models {
		model, err := ctx.Model(m.Model)
		if err != nil {
			return Out{}, err
		}
		if tickets[i], err = model.Start(in.forModel(m), "logits"); err != nil {
			return Out{}, err
		}
	}
	answers, err := plugin.WaitAll(tickets...)
	if err != nil {
		return Out{}, err
	}
	sum := make([]float32, len(with.Labels))
	for i := range answers {
		p, err := probabilities(&answers[i][0], with.Models[i].Model, len(with.Labels))
		if err != nil {
			return Out{}, err
		}
		for k := range sum {
			sum[k] += p[k] / float32(len(answers))
		}
	}
	return with.out(sum, len(answers)), nil
}

// Cascade runs the models in turn until one is sure; the last one has the last word.
func Cascade(ctx *plugin.Context, in In, with With) (Out, error) {
	var p []float32
	for i, m := range with.Models {
		model, err := ctx.Model(m.Model)
		if err != nil {
			return Out{}, err
		}
		answer, err := model.Run(in.forModel(m), "logits")
		if err != nil {
			return Out{}, err
		}
		if p, err = probabilities(&answer[0], m.Model, len(with.Labels)); err != nil {
			return Out{}, err
		}
		if float64(p[scores.Top(p)]) >= with.SureFrom || i == len(with.Models)-1 {
			return with.out(p, i+1), nil
		}
	}
	return Out{}, errors.New("no model was asked")
}

// forModel returns what one model reads.
func (in *In) forModel(m Member) []plugin.Named {
	out := []plugin.Named{plugin.Input("ids", in.IDs)}
	if m.Bigrams && in.Bigrams != nil {
		out = append(out, plugin.Input("bigrams", *in.Bigrams))
	}
	return out
}

func probabilities(logits *plugin.Named, model string, classes int) ([]float32, error) {
	v, err := logits.Tensor.Float32s()
	if err != nil {
		return nil, errors.New("model " + model + ": " + err.Error())
	}
	if len(v) != classes {
		return nil, errors.New("model " + model + " knows " + strconv.Itoa(len(v)) + " classes, labels names " + strconv.Itoa(classes))
	}
	for _, x := range v {
		if math.IsNaN(float64(x)) {
			return nil, errors.New("model " + model + ": the answer holds NaN")
		}
	}
	return scores.Softmax(v), nil
}

func (w *With) out(p []float32, asked int) Out {
	best := scores.Top(p)
	return Out{Label: w.Labels[best], Score: p[best], Asked: int64(asked)}
}
