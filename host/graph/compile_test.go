package graph_test

import (
	"os"
	"testing"

	"github.com/tandem-serve/tandem/host/graph"
)

func TestDesignExample(t *testing.T) {
	src, err := os.ReadFile("testdata/ocr-sentiment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Check(src, newWorld(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + graph.Text(p) + graph.Mermaid(p))
}
