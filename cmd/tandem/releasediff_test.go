package main

import (
	"bytes"
	"strings"
	"testing"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// TestDiffColours shows a diff as on a terminal; the scripts see it without colours.
func TestDiffColours(t *testing.T) {
	d := &tandemv1.DiffReleasesResponse{
		From: &tandemv1.Release{Graph: &tandemv1.Graph{Name: "g", Version: 1}}, To: &tandemv1.Release{Graph: &tandemv1.Graph{Name: "g", Version: 2}},
		Document: "diff g@1 g@2\n--- g@1\n+++ g@2\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n",
		Pins: []*tandemv1.PinChange{
			{From: &tandemv1.Pin{Kind: "model", Name: "m", Version: 1}, To: &tandemv1.Pin{Kind: "model", Name: "m", Version: 2}},
			{From: &tandemv1.Pin{Kind: "plugin", Name: "p", Version: 3}},
		},
	}
	var out bytes.Buffer
	if err := printDiff(&env{streams: streams{out: &out}}, d, true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{
		bold + "g@1 () and g@2 ()" + plain, red + "- model m@1  " + plain, green + "+ model m@2  " + plain, red + "- plugin p@3  " + plain,
		bold + "--- g@1" + plain, bold + "+++ g@2" + plain, cyan + "@@ -1,2 +1,2 @@" + plain, " same", red + "-old" + plain, green + "+new" + plain, "",
	} {
		if i >= len(lines) || lines[i] != want {
			t.Fatalf("line %d: got %q, want %q", i, lines[i], want)
		}
	}
}
