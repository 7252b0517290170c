package images

import (
	"testing"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

func TestSuite(t *testing.T) {
	r := report.New(t.Context(), "images")
	r.Quick = true
	if err := Suite().Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 8 {
		t.Errorf("got %d results, want 8", len(r.Results))
	}
	for _, res := range r.Results {
		if res.Value <= 0 {
			t.Errorf("got %+v, want a positive value", res)
		}
	}
}
