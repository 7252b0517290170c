package graph_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/graph"
)

// svgRect and svgDoc are what the tests read of a picture.
type svgRect struct {
	Class string  `xml:"class,attr"`
	X     float64 `xml:"x,attr"`
	Y     float64 `xml:"y,attr"`
	W     float64 `xml:"width,attr"`
	H     float64 `xml:"height,attr"`
}

type svgDoc struct {
	W     float64 `xml:"width,attr"`
	H     float64 `xml:"height,attr"`
	Boxes []struct {
		Title string    `xml:"title"`
		Rect  svgRect   `xml:"rect"`
		Texts []svgText `xml:"text"`
	} `xml:"g"`
	Lines []struct {
		Class string `xml:"class,attr"`
		D     string `xml:"d,attr"`
	} `xml:"path"`
}

type svgText struct {
	Text string `xml:",chardata"`
}

// checkSVG fails unless the picture is well-formed, every box lies inside it and apart from every other, and lines go to the
// right.
func checkSVG(t *testing.T, p *graph.Plan) svgDoc {
	t.Helper()
	var doc svgDoc
	src := graph.SVG(p)
	dec := xml.NewDecoder(strings.NewReader(src))
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("not XML: %v\n%s", err, src)
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if want := len(p.Inputs) + len(p.Nodes) + len(p.Outputs); len(doc.Boxes) != want {
		t.Fatalf("%d boxes, want %d", len(doc.Boxes), want)
	}
	for i, b := range doc.Boxes {
		r := b.Rect
		if r.X < 0 || r.Y < 0 || r.X+r.W > doc.W+1 || r.Y+r.H > doc.H+1 {
			t.Errorf("%s lies outside: %+v in %v x %v", b.Title, r, doc.W, doc.H)
		}
		for _, other := range doc.Boxes[:i] {
			o := other.Rect
			if r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H {
				t.Errorf("%s lies over %s", b.Title, other.Title)
			}
		}
	}
	for _, l := range doc.Lines {
		var x, y float64
		if _, err := fmt.Sscanf(l.D, "M%f,%f", &x, &y); err != nil {
			t.Fatalf("line %q: %v", l.D, err)
		}
		end := l.D[strings.LastIndexByte(l.D, ' ')+1:]
		var toX, toY float64
		if _, err := fmt.Sscanf(end, "%f,%f", &toX, &toY); err != nil || toX <= x {
			t.Errorf("line %q does not go to the right: %v", l.D, err)
		}
	}
	return doc
}

// TestSVGOfTheCorpus draws every right document.
func TestSVGOfTheCorpus(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob(filepath.Join("testdata", "right", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, f := range readArchive(t, file).files {
			if strings.HasSuffix(f.name, ".want") {
				continue
			}
			p, err := graph.Check(f.data, w)
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			t.Run(f.name, func(t *testing.T) { checkSVG(t, p) })
		}
	}
}

func TestSVGSaysWhatThereIs(t *testing.T) {
	src, err := os.ReadFile("testdata/ocr-sentiment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Check(src, newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	text := graph.SVG(p)
	golden := filepath.Join("testdata", "ocr-sentiment.svg")
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the picture changed; look at it, then run go test ./host/graph -update")
	}
	for _, part := range []string{"recognise", "model ppocr-rec", "x each", "list of tensor FP32"} {
		if !strings.Contains(text, part) {
			t.Errorf("the picture does not say %q", part)
		}
	}
}

// TestSVGOfTheLargestGraph: the most nodes, each reading far back, take bounded time and text.
func TestSVGOfTheLargestGraph(t *testing.T) {
	var b strings.Builder
	b.WriteString("graph: g\ninputs: {a: text}\noutputs: {t: n999.text}\nnodes:\n  n0: {plugin: text, call: upper, in: {text: a}}\n")
	for i := range graph.MaxNodes - 1 {
		fmt.Fprintf(&b, "  n%d: {plugin: text, call: pair, in: {a: n%d.text, b: n%d.text}}\n", i+1, i, i/2)
	}
	p, err := graph.Check([]byte(b.String()), newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if n := len(graph.SVG(p)); n > 8<<20 {
		t.Errorf("the picture has %d bytes", n)
	}
	t.Logf("drawn in %v", time.Since(began))
}
