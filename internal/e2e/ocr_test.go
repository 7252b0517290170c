package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"golang.org/x/image/draw"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// expected is what is written on one image (examples/images/expected.json), and how many of its lines stand upside down
// (reference.json).
type expected struct {
	Lines     []string
	Sentiment string
	Turned    int
}

func expectedImages(t *testing.T) map[string]expected {
	t.Helper()
	var truth struct{ Images map[string]expected }
	readJSON(t, "expected.json", &truth)
	var reference struct {
		Images map[string]struct{ Lines []struct{ Turned bool } }
	}
	readJSON(t, "reference.json", &reference)
	upsideDown := 0
	for name, want := range truth.Images {
		for _, l := range reference.Images[name].Lines {
			if l.Turned {
				want.Turned++
			}
		}
		truth.Images[name] = want
		upsideDown += want.Turned
	}
	if len(truth.Images) < 10 || upsideDown == 0 {
		t.Fatalf("got %d images with %d lines upside down, want at least 10 and 1", len(truth.Images), upsideDown)
	}
	return truth.Images
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), "examples", "images", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
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

// TestOCRReadsTheLargestImage enlarges a page to 8000x8000, the most that the limits allow, and reads it; one more row is
// refused by its header.
func TestOCRReadsTheLargestImage(t *testing.T) {
	s := examples(t)
	want := expectedImages(t)["review-film-good.png"]
	const side = 8000
	data, err := os.ReadFile(filepath.Join(root(t), "examples", "images", "review-film-good.png"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client.Infer(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(enlarge(t, data, side, side))})
	if err != nil {
		t.Fatal(err)
	}
	truth := normalise(strings.Join(want.Lines, ""))
	if d := distance(truth, normalise(res.GetOutputs()["text"].GetText())); float64(d) > maxErrorRate*float64(len(truth)) {
		t.Errorf("%d of %d characters wrong: %q", d, len(truth), res.GetOutputs()["text"].GetText())
	}
	_, err = s.Client.Infer(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(enlarge(t, data, side, side+1))})
	wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_IMAGE_INVALID, "8000x8001")
}

// enlarge puts an image, scaled to width w, at the top of a white page of w x h.
func enlarge(t *testing.T, data []byte, w, h int) []byte {
	t.Helper()
	src, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	page := image.NewGray(image.Rect(0, 0, w, h))
	draw.Draw(page, page.Bounds(), image.White, image.Point{}, draw.Src)
	scaled := image.Rect(0, 0, w, src.Bounds().Dy()*w/src.Bounds().Dx())
	draw.BiLinear.Scale(page, scaled, src, src.Bounds(), draw.Src, nil)
	var out bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&out, page); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
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
	turned := 0
	for i, l := range lines {
		if l.Text == "" || l.Confidence < 0.5 || l.Confidence > 1 || len(l.Box) != 4 {
			t.Errorf("%s: line %d is %+v, want a text, a confidence from 0.5 to 1 and four corners", name, i, l)
		}
		if l.Turned {
			turned++
		}
	}
	if turned != want.Turned {
		t.Errorf("%s: %d lines were turned, want %d", name, turned, want.Turned)
	}
}
