package e2e

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestPluginOrchestratesModels: a plugin that runs two models itself says what the two say each for itself, averaged, and
// asks the second one only where the first is not sure.
func TestPluginOrchestratesModels(t *testing.T) {
	s := examples(t)
	asked := map[float64]int{}
	for _, x := range exampleTexts(t) {
		res, err := s.Client.Infer(bounded(t), rig.GraphEnsemble, map[string]*tandemv1.Value{"text": client.Text(x.Text)})
		if err != nil {
			t.Fatalf("%s: %v", x.ID, err)
		}
		positive := (x.A.positive() + x.B.positive()) / 2
		label, score := "positive", positive
		if positive < 0.5 {
			label, score = "negative", 1-positive
		}
		if got := res.GetOutputs()["label"].GetText(); got != label && math.Abs(positive-0.5) > tolerance {
			t.Errorf("%s: got %s, want %s (%.4f)", x.ID, got, label, score)
		}
		if got := scalar(res.GetOutputs()["score"]); math.Abs(got-score) > tolerance {
			t.Errorf("%s: got %.5f, want %.5f", x.ID, got, score)
		}
		want, quick := 1.0, x.A
		if x.A.Score < 0.8 {
			want, quick = 2, x.B
		}
		n := float64(binary.LittleEndian.Uint64(res.GetOutputs()["quick_asked"].GetTensor().GetData()))
		asked[n]++
		if n != want || res.GetOutputs()["quick_label"].GetText() != quick.Label {
			t.Errorf("%s: %v models were asked and said %s, want %v and %s", x.ID, n, res.GetOutputs()["quick_label"].GetText(), want, quick.Label)
		}
	}
	if asked[1] == 0 || asked[2] == 0 {
		t.Errorf("got %v: the texts show only one of the two ways", asked)
	}
}

// positive is the probability of the label positive.
func (a answer) positive() float64 {
	if a.Label == "positive" {
		return a.Score
	}
	return 1 - a.Score
}
