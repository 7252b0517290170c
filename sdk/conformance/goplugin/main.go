//go:build wasip1

// Command goplugin is the conformance plugin in Go: the same functions as c/conformance.c, which the suite calls alike.
package main

import (
	"errors"
	"slices"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

type kinds struct {
	Text   string           `tdm:"text"`
	JSON   plugin.JSON      `tdm:"json"`
	Bytes  []byte           `tdm:"bytes"`
	Image  plugin.Image     `tdm:"image"`
	Tensor plugin.AnyTensor `tdm:"tensor"`
}

func echo(_ *plugin.Context, in kinds, _ plugin.None) (kinds, error) { return in, nil }

type copyIn struct {
	X plugin.AnyTensor `tdm:"x"`
}

type copyOut struct {
	Y plugin.AnyTensor `tdm:"y"`
}

// copyTensor copies a tensor, so that the output is the plugin's own memory.
func copyTensor(_ *plugin.Context, in copyIn, _ plugin.None) (copyOut, error) {
	if t, ok := plugin.As[string](in.X); ok {
		return copyOut{plugin.AnyOf(t)}, nil
	}
	in.X.Data = slices.Clone(in.X.Data)
	return copyOut{in.X}, nil
}

type lists struct {
	Tensors []plugin.Tensor[float32] `tdm:"tensors,shape=? 2"`
	Texts   []string                 `tdm:"texts"`
}

func reverse(_ *plugin.Context, in lists, _ plugin.None) (lists, error) {
	slices.Reverse(in.Tensors)
	slices.Reverse(in.Texts)
	return in, nil
}

type lengthsIn struct {
	Strings plugin.Tensor[string] `tdm:"strings,shape=n"`
}

type lengthsOut struct {
	Lengths plugin.Tensor[int64] `tdm:"lengths,shape=n"`
}

func lengths(_ *plugin.Context, in lengthsIn, _ plugin.None) (lengthsOut, error) {
	out := lengthsOut{plugin.NewTensor[int64](in.Strings.Shape...)}
	for i, s := range in.Strings.Data {
		out.Lengths.Data[i] = int64(len(s))
	}
	return out, nil
}

type optionalIn struct {
	Tensor *plugin.Tensor[float32] `tdm:"tensor,shape=n"`
	Text   *string                 `tdm:"text"`
}

type optionalOut struct {
	Given  string                  `tdm:"given"`
	Tensor *plugin.Tensor[float32] `tdm:"tensor,shape=n"`
	Text   *string                 `tdm:"text"`
}

// optional says which of the optional inputs were given, and hands them on.
func optional(_ *plugin.Context, in optionalIn, _ plugin.None) (optionalOut, error) {
	given := "none"
	switch {
	case in.Tensor != nil && in.Text != nil:
		given = "both"
	case in.Tensor != nil:
		given = "tensor"
	case in.Text != nil:
		given = "text"
	}
	return optionalOut{given, in.Tensor, in.Text}, nil
}

type scaleIn struct {
	X plugin.Tensor[float32] `tdm:"x,shape=n"`
}

type scaleWith struct {
	Factor float32 `with:"factor" default:"2" min:"-100" max:"100"`
	Negate bool    `with:"negate"`
}

type scaleOut struct {
	Y plugin.Tensor[float32] `tdm:"y,shape=n"`
}

func scale(_ *plugin.Context, in scaleIn, with scaleWith) (scaleOut, error) {
	out := scaleOut{plugin.NewTensor[float32](in.X.Shape...)}
	if with.Negate {
		with.Factor = -with.Factor
	}
	for i, v := range in.X.Data {
		out.Y.Data[i] = with.Factor * v
	}
	return out, nil
}

type makeIn struct {
	N int64 `tdm:"n"`
}

type makeOut struct {
	List []plugin.Tensor[float32] `tdm:"list,shape=?"`
}

// makeList returns n tensors, of 0, 1, 2 and so on elements.
func makeList(_ *plugin.Context, in makeIn, _ plugin.None) (makeOut, error) {
	if in.N < 0 || in.N > 1000 {
		return makeOut{}, errors.New("n is not in 0..1000")
	}
	var out makeOut
	for i := range in.N {
		t := plugin.NewTensor[float32](i)
		for k := range t.Data {
			t.Data[k] = float32(i)
		}
		out.List = append(out.List, t)
	}
	return out, nil
}

type failIn struct {
	Text string `tdm:"text"`
}

func fail(_ *plugin.Context, in failIn, _ plugin.None) (plugin.None, error) {
	return plugin.None{}, errors.New(in.Text)
}

type tellIn struct {
	Doc plugin.JSON `tdm:"doc"`
}

type tellOut struct {
	Recorded bool `tdm:"recorded"`
}

// tell logs, measures and records its input.
func tell(ctx *plugin.Context, in tellIn, _ plugin.None) (tellOut, error) {
	ctx.Log(plugin.LevelWarn, "told")
	if err := ctx.Metric(plugin.Gauge, "told", 2.5); err != nil {
		return tellOut{}, err
	}
	return tellOut{ctx.Record("told", in.Doc) == nil}, nil
}

type countOut struct {
	Calls int64 `tdm:"calls"`
}

// counter counts its calls; each should be the first.
func counter() func(*plugin.Context, plugin.None, plugin.None) (countOut, error) {
	var calls int64
	return func(*plugin.Context, plugin.None, plugin.None) (countOut, error) {
		calls++
		return countOut{calls}, nil
	}
}

type badOut struct {
	Y plugin.Tensor[float32] `tdm:"y,shape=n"`
}

// bad answers a tensor whose shape has one element more than its data.
func bad(_ *plugin.Context, in makeIn, _ plugin.None) (badOut, error) {
	return badOut{plugin.Of(make([]float32, in.N), in.N+1)}, nil
}

type askIn struct {
	How string                 `tdm:"how"`
	X   plugin.Tensor[float32] `tdm:"x,shape=n"`
}

type askOut struct {
	Y plugin.AnyTensor `tdm:"y"`
}

// ask asks models in every way there is.
func ask(ctx *plugin.Context, in askIn, _ plugin.None) (askOut, error) {
	name, output := "double", "y"
	switch in.How {
	case "denied":
		name = "secret"
	case "fail":
		name = "broken"
	case "missing":
		output = "z"
	}
	m, err := ctx.Model(name)
	if err != nil {
		return askOut{}, err
	}
	x := []plugin.Named{plugin.Input("x", in.X)}
	if in.How == "many" {
		return many(m, x)
	}
	y, err := m.Run(x, output)
	if err == nil && in.How == "hand" {
		y, err = m.Run([]plugin.Named{{Tensor: y[0].Tensor}})
	}
	if err != nil {
		return askOut{}, err
	}
	return askOut{y[0].Tensor}, nil
}

// many starts a model three times and adds the answers up as they come.
func many(m *plugin.Model, x []plugin.Named) (askOut, error) {
	var open []*plugin.Ticket
	for range 3 {
		t, err := m.Start(x, "y")
		if err != nil {
			return askOut{}, err
		}
		open = append(open, t)
	}
	sum := plugin.NewTensor[float32](x[0].Tensor.Shape...)
	for len(open) > 0 {
		i, err := plugin.WaitAny(open...)
		if err != nil {
			return askOut{}, err
		}
		y, err := open[i].Wait()
		if err != nil {
			return askOut{}, err
		}
		open = slices.Delete(open, i, i+1)
		data, err := y[0].Tensor.Float32s()
		if err != nil {
			return askOut{}, err
		}
		for k, v := range data {
			sum.Data[k] += v
		}
	}
	return askOut{plugin.AnyOf(sum)}, nil
}

type explainIn struct {
	X plugin.Tensor[float32] `tdm:"x,shape=n"`
}

type explainOut struct {
	Doc plugin.JSON `tdm:"doc"`
}

// explain reads what a model answers as JSON beside a tensor.
func explain(ctx *plugin.Context, in explainIn, _ plugin.None) (explainOut, error) {
	m, err := ctx.Model("double")
	if err != nil {
		return explainOut{}, err
	}
	out, err := m.Run([]plugin.Named{plugin.Input("x", in.X)}, "y", "doc")
	if err != nil {
		return explainOut{}, err
	}
	if out[0].JSON != nil || out[1].JSON == nil {
		return explainOut{}, errors.New("a tensor and a document were taken for each other")
	}
	return explainOut{out[1].JSON}, nil
}

func functions() []plugin.Function {
	skip := plugin.NewOutcome("skip", 7)
	return []plugin.Function{
		plugin.Func("echo", "hands every kind on", echo),
		plugin.Func("copy", "copies a tensor", copyTensor),
		plugin.Func("reverse", "turns lists round", reverse),
		plugin.Func("lengths", "measures strings", lengths),
		plugin.Func("optional", "says what was given", optional),
		plugin.Func("scale", "multiplies", scale),
		plugin.Func("make", "makes a list", makeList),
		plugin.Func("fail", "fails with its input", fail),
		plugin.Func("skip", "ends with an outcome",
			func(*plugin.Context, plugin.None, plugin.None) (plugin.None, error) { return plugin.None{}, skip }, skip),
		plugin.Func("tell", "logs, measures and records", tell),
		plugin.Func("count", "counts its calls", counter()),
		plugin.Func("bad", "answers what it should not", bad),
		plugin.Func("ask", "asks models", ask),
		plugin.Func("explain", "asks for a document", explain),
	}
}

var _ = plugin.Register(plugin.Plugin{
	Name: "conformance", Version: "1.0.0", Doc: "Calls that every SDK passes.", Functions: functions(),
})

func main() {}
