package sandbox_test

import (
	"strings"
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
	var page strings.Builder
	if err := s.Page(r, &page); err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		if name := strings.TrimPrefix(res.Name, "metering, "); !strings.Contains(page.String(), "| "+name+" |") && !strings.Contains(page.String(), "| "+res.Name+" |") {
			t.Errorf("the page has no row for %q", res.Name)
		}
	}
}
