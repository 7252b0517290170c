package ocr

import (
	"errors"
	"slices"
	"strconv"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// ReadLinesIn is what the recogniser saw in each line.
type ReadLinesIn struct {
	Logits []plugin.Tensor[float32] `tdm:"logits,shape=1 ? classes" doc:"for each line and step the probabilities of the characters"`
	Boxes  plugin.Tensor[float32]   `tdm:"boxes,shape=n 4 2" doc:"from cut_lines"`
	Turned *plugin.Tensor[bool]     `tdm:"turned,shape=n" doc:"from orient"`
}

// ReadLinesWith configures ReadLines.
type ReadLinesWith struct {
	MinConfidence float64 `with:"min_confidence" default:"0.5" min:"0" max:"1" doc:"lines below are dropped"`
	FollowPage    bool    `with:"follow_page" default:"false" doc:"when most lines were upside down, so is the page: it is read from its end; else lines come as they stand, from the top"`
}

// ReadLinesOut is the text of an image.
type ReadLinesOut struct {
	Text  string      `tdm:"text" doc:"one line of text for each row; boxes side by side are joined by a space"`
	Lines plugin.JSON `tdm:"lines" doc:"[{text, confidence, turned, box: [[x, y], ...]}, ...] in reading order; turned stands there when it was given"`
}

// line is one line as it was read.
type line struct {
	text       string
	confidence float32
	box        quad
}

// ReadLines decodes each line and joins them in reading order.
func (r *reader) ReadLines(_ *plugin.Context, in ReadLinesIn, with ReadLinesWith) (ReadLinesOut, error) {
	if in.Boxes.Dim(0) != len(in.Logits) || len(in.Boxes.Data) != 8*len(in.Logits) {
		return ReadLinesOut{}, errors.New("there are not as many boxes as lines")
	}
	boxes := make([]quad, len(in.Logits))
	lines := make([]line, len(in.Logits))
	for i, l := range in.Logits {
		if len(l.Shape) != 3 || l.Dim(2) != len(r.characters) || l.Dim(1)*l.Dim(2) != len(l.Data) {
			return ReadLinesOut{}, errors.New("line " + strconv.Itoa(i) + " is not [1,steps," +
				strconv.Itoa(len(r.characters)) + "]: the recogniser is for another list of characters")
		}
		for k := range boxes[i] {
			boxes[i][k] = point{float64(in.Boxes.Data[8*i+2*k]), float64(in.Boxes.Data[8*i+2*k+1])}
		}
		lines[i] = r.decode(l.Data)
		lines[i].box = boxes[i]
	}
	var turned []bool
	if in.Turned != nil {
		if turned = in.Turned.Data; len(turned) != len(lines) {
			return ReadLinesOut{}, errors.New("turned does not say something of every line")
		}
	}
	rows := rowsOf(boxes)
	if with.FollowPage && mostly(turned) {
		slices.Reverse(rows)
		for _, row := range rows {
			slices.Reverse(row)
		}
	}
	return write(rows, lines, turned, float32(with.MinConfidence)), nil
}

func mostly(b []bool) bool {
	n := 0
	for _, v := range b {
		if v {
			n++
		}
	}
	return 2*n > len(b)
}

func write(rows [][]int, lines []line, turned []bool, least float32) ReadLinesOut {
	var text []byte
	var w plugin.JSONWriter
	w.BeginArray()
	for _, row := range rows {
		separator := "\n"
		for _, i := range row {
			l := lines[i]
			if l.text == "" || l.confidence < least {
				continue
			}
			if len(text) > 0 {
				text = append(text, separator...)
			}
			text, separator = append(text, l.text...), " "
			w.BeginObject()
			w.Key("text")
			w.String(l.text)
			w.Key("confidence")
			w.Float32(l.confidence)
			if turned != nil {
				w.Key("turned")
				w.Bool(turned[i])
			}
			w.Key("box")
			writeBox(&w, l.box)
			w.EndObject()
		}
	}
	w.EndArray()
	return ReadLinesOut{Text: string(text), Lines: w.JSON()}
}

func writeBox(w *plugin.JSONWriter, q quad) {
	w.BeginArray()
	for _, p := range q {
		w.BeginArray()
		w.Float32(float32(p.x))
		w.Float32(float32(p.y))
		w.EndArray()
	}
	w.EndArray()
}

// decode reads one line: the likeliest class of each step, repeats once, without blanks. The confidence is the mean of
// the probabilities of what was kept.
func (r *reader) decode(steps []float32) line {
	classes := len(r.characters)
	var text []byte
	var sum float32
	kept, last := 0, 0
	for ; len(steps) >= classes; steps = steps[classes:] {
		best := likeliest(steps[:classes])
		if best != 0 && best != last {
			text = append(text, r.characters[best]...)
			sum += steps[best]
			kept++
		}
		last = best
	}
	if kept == 0 {
		return line{}
	}
	return line{text: string(text), confidence: sum / float32(kept)}
}

// likeliest returns the index of the largest of p, which are probabilities that add up to 1: one above a half is the
// largest, so that most steps, which are blanks or clear, are decided early. The first of equals wins; NaN never does.
func likeliest(p []float32) int {
	best, top := 0, float32(-1)
	for i, v := range p {
		if v > top {
			best, top = i, v
			if v > 0.5 {
				break
			}
		}
	}
	return best
}
