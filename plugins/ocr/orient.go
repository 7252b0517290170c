package ocr

import (
	"errors"
	"slices"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// OrientIn are lines and what the angle classifier says of them.
type OrientIn struct {
	Lines  []plugin.Tensor[float32] `tdm:"lines,shape=1 3 48 ?" doc:"from cut_lines"`
	Angles []plugin.Tensor[float32] `tdm:"angles,shape=1 2" doc:"for each line the probabilities of 0 and 180 degrees"`
}

// OrientWith configures Orient.
type OrientWith struct {
	Threshold float64 `with:"threshold" default:"0.9" min:"0.5" max:"1" doc:"probability above which a line's direction is sure"`
}

// OrientOut are the lines the right way up.
type OrientOut struct {
	Lines  []plugin.Tensor[float32] `tdm:"lines,shape=1 3 48 ?"`
	Turned plugin.Tensor[bool]      `tdm:"turned,shape=n" doc:"which lines were turned"`
}

// Orient turns the lines that are upside down; the others are handed on as they are. A line of which the classifier is
// not sure goes the way of most lines of which it is.
func Orient(_ *plugin.Context, in OrientIn, with OrientWith) (OrientOut, error) {
	if len(in.Lines) != len(in.Angles) {
		return OrientOut{}, errors.New("there are not as many angles as lines")
	}
	turnedLines, uprightLines := 0, 0
	for _, a := range in.Angles {
		if len(a.Data) != 2 {
			return OrientOut{}, errors.New("angles are not [1,2]")
		}
		if float64(a.Data[1]) > with.Threshold {
			turnedLines++
		} else if float64(a.Data[0]) > with.Threshold {
			uprightLines++
		}
	}
	out := OrientOut{Lines: in.Lines, Turned: plugin.NewTensor[bool](int64(len(in.Lines)))}
	for i, a := range in.Angles {
		sure := max(float64(a.Data[0]), float64(a.Data[1])) > with.Threshold
		if sure && a.Data[1] > a.Data[0] || !sure && turnedLines > uprightLines {
			out.Turned.Data[i] = true
			out.Lines[i] = turned(in.Lines[i])
		}
	}
	return out, nil
}

// turned returns a line turned by 180 degrees: each plane backwards.
func turned(line plugin.Tensor[float32]) plugin.Tensor[float32] {
	t := plugin.NewTensor[float32](line.Shape...)
	plane := len(line.Data) / 3
	for c := range 3 {
		copy(t.Data[c*plane:], line.Data[c*plane:][:plane])
		slices.Reverse(t.Data[c*plane:][:plane])
	}
	return t
}
