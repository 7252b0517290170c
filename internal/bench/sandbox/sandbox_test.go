package sandbox_test

import (
	"testing"

	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/sandbox"
)

// The suite runs through. What it measures in this way says nothing.
func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a plugin in Go three times")
	}
	s := sandbox.Suite()
	r := report.New(t.Context(), s.Name)
	r.Quick = true
	if err := s.Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) < 30 {
		t.Errorf("got %d figures, want at least 30", len(r.Results))
	}
	for _, res := range r.Results {
		if res.Name == "" || res.Unit == "" {
			t.Errorf("got %+v, want name and unit", res)
		}
	}
}
