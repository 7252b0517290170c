package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// expected is what examples/images/expected.json says of one image.
type expected struct {
	Lines      []string
	Sentiment  string
	UpsideDown bool `json:"upside_down"`
}

func expectedImages(t *testing.T) map[string]expected {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), "examples", "images", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Images map[string]expected }
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Images) < 10 {
		t.Fatalf("got %d images, want at least 10", len(doc.Images))
	}
	return doc.Images
}

// maxErrorRate is the character error rate over all images that is allowed, after case and white space are taken away.
const maxErrorRate = 0.03

func TestOCRReadsTheImages(t *testing.T) {
	s := examples(t)
	images := expectedImages(t)
	for protocol, call := range callers(t, s) {
		t.Run(protocol, func(t *testing.T) {
			wrong, all := 0, 0
			for _, name := range slices.Sorted(maps.Keys(images)) {
				want := images[name]
				res := inferImage(t, call, name)
				text := res.GetOutputs()["text"].GetText()
				truth := normalise(strings.Join(want.Lines, ""))
				d := distance(truth, normalise(text))
				wrong, all = wrong+d, all+len(truth)
				if d > 0 {
					t.Logf("%s: %d of %d characters wrong", name, d, len(truth))
				}
				if want.Sentiment != "" && res.GetOutputs()["label"].GetText() != want.Sentiment {
					t.Errorf("%s: label %s, want %s", name, res.GetOutputs()["label"].GetText(), want.Sentiment)
				}
				checkLines(t, name, want, res)
			}
			rate := float64(wrong) / float64(all)
			t.Logf("character error rate %.4f over %d characters", rate, all)
			if rate > maxErrorRate {
				t.Errorf("character error rate %.4f, want at most %.2f", rate, maxErrorRate)
			}
		})
	}
}

func inferImage(t *testing.T, call caller, name string) *tandemv1.InferResponse {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), "examples", "images", name))
	if err != nil {
		t.Fatal(err)
	}
	res, err := call(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(data)})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return res
}

// checkLines checks that every line has its text, a confidence and a box, and that an empty page is an ordinary answer.
func checkLines(t *testing.T, name string, want expected, res *tandemv1.InferResponse) {
	t.Helper()
	var lines []struct {
		Text       string
		Confidence float64
		Box        [][2]float64
		Turned     bool
	}
	if err := json.Unmarshal([]byte(res.GetOutputs()["lines"].GetJson()), &lines); err != nil {
		t.Fatalf("%s: lines: %v", name, err)
	}
	if len(want.Lines) == 0 && len(lines) != 0 {
		t.Errorf("%s: got %d lines on an empty page", name, len(lines))
	}
	if len(want.Lines) > 0 && len(lines) == 0 {
		t.Errorf("%s: got no lines, want %d", name, len(want.Lines))
	}
	for i, l := range lines {
		if l.Text == "" || l.Confidence < 0.5 || l.Confidence > 1 || len(l.Box) != 4 {
			t.Errorf("%s: line %d is %+v, want a text, a confidence from 0.5 to 1 and four corners", name, i, l)
		}
		if l.Turned != want.UpsideDown {
			t.Errorf("%s: line %d: turned is %v, want %v", name, i, l.Turned, want.UpsideDown)
		}
	}
}
