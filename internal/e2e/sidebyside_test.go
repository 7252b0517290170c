package e2e

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// answer is what the reference says that one model thinks of a text.
type answer struct {
	Label string
	Score float64
}

// exampleText is one line of examples/texts/texts.jsonl.
type exampleText struct {
	ID, Text string
	A        answer `json:"expected_a"`
	B        answer `json:"expected_b"`
}

func exampleTexts(t *testing.T) []exampleText {
	t.Helper()
	f, err := os.Open(filepath.Join(root(t), "examples", "texts", "texts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []exampleText
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x exampleText
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("got %d texts, want at least 50", len(out))
	}
	return out
}

// tolerance is how far a score may be from the reference, which ran the same model in another build of ONNX Runtime.
const tolerance = 1e-4

func TestSideBySideComparesTheTexts(t *testing.T) {
	s := examples(t)
	texts := exampleTexts(t)
	for protocol, call := range callers(t, s) {
		t.Run(protocol, func(t *testing.T) {
			for _, x := range texts {
				res, err := call(bounded(t), rig.GraphSideBySide, map[string]*tandemv1.Value{"text": client.Text(x.Text)})
				if err != nil {
					t.Fatalf("%s: %v", x.ID, err)
				}
				o := res.GetOutputs()
				checkAnswer(t, x.ID+" model A", x.A, o["label_a"], o["score_a"])
				checkAnswer(t, x.ID+" model B", x.B, o["label_b"], o["score_b"])
				if agree := o["agree"].GetTensor().GetData(); len(agree) != 1 || (agree[0] == 1) != (x.A.Label == x.B.Label) {
					t.Errorf("%s: agree is %v, want %v", x.ID, agree, x.A.Label == x.B.Label)
				}
				if want := math.Abs(positive(x.A) - positive(x.B)); math.Abs(scalar(o["difference"])-want) > 2*tolerance {
					t.Errorf("%s: difference %v, want %v", x.ID, scalar(o["difference"]), want)
				}
				checkRecorded(t, s, res.GetRequestId(), o["comparison"].GetJson())
			}
		})
	}
}

func checkAnswer(t *testing.T, what string, want answer, label, score *tandemv1.Value) {
	t.Helper()
	if label.GetText() != want.Label || math.Abs(scalar(score)-want.Score) > tolerance {
		t.Errorf("%s: got %s %v, want %s %v", what, label.GetText(), scalar(score), want.Label, want.Score)
	}
}

// positive returns the probability of the positive class.
func positive(a answer) float64 {
	if a.Label == "positive" {
		return a.Score
	}
	return 1 - a.Score
}

func scalar(v *tandemv1.Value) float64 {
	data := v.GetTensor().GetData()
	if len(data) != 4 {
		return math.NaN()
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
}

// checkRecorded checks that the newest record is the comparison of this request: it is durable when the answer arrives.
func checkRecorded(t *testing.T, s *rig.Server, requestID, doc string) {
	t.Helper()
	res, err := s.Client.Records.ListRecords(bounded(t), &tandemv1.ListRecordsRequest{Graph: rig.GraphSideBySide, Stream: "comparisons", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.GetRecords()) != 1 || res.GetRecords()[0].GetRequestId() != requestID {
		t.Fatalf("the newest record is %v, want that of request %s", res.GetRecords(), requestID)
	}
	if doc == "" || res.GetRecords()[0].GetJson() == "" || res.GetRecords()[0].GetNode() != "compare" {
		t.Errorf("the record is %v", res.GetRecords()[0])
	}
}
