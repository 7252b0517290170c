package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// TestLocalInput: what -i flags hold becomes what a graph would hand to the port.
func TestLocalInput(t *testing.T) {
	image, err := os.ReadFile(filepath.Join("..", "..", "host", "imaging", "testdata", "gif-animated.want.png"))
	if err != nil {
		t.Fatal(err)
	}
	pixels := graph.Type{Kind: abi.KindTensor, DType: abi.UINT8}
	for _, c := range []struct {
		name  string
		kind  graph.Type
		given []string
		want  string // of the value, or of each item
		items int    // -1 for no list
	}{
		{"an image", graph.Type{Kind: abi.KindImage}, []string{string(image)}, "image", -1},
		{"its pixels", pixels, []string{string(image)}, "tensor UINT8 [23,37,3]", -1},
		{"one image of a list", graph.Type{Kind: abi.KindImage, List: 1}, []string{string(image)}, "image", 1},
		{"images", graph.Type{Kind: abi.KindImage, List: 1}, []string{string(image), string(image)}, "image", 2},
		{"pixels of images", graph.Type{Kind: abi.KindTensor, DType: abi.UINT8, List: 1}, []string{string(image), string(image)}, "tensor UINT8 [23,37,3]", 2},
		{"bytes", graph.Type{Kind: abi.KindBytes, List: 1}, []string{"[1]"}, "bytes", 1},
		{"texts as JSON", graph.Type{Kind: abi.KindText, List: 1}, []string{`["a","b"]`}, "text", 2},
		{"texts", graph.Type{Kind: abi.KindText, List: 1}, []string{`["a"]`, "b"}, "text", 2},
		{"tensors as JSON", graph.Type{Kind: abi.KindTensor, List: 1}, []string{`[[1,2],[3,4]]`}, "tensor FP32 [2]", 2},
	} {
		given := make([][]byte, len(c.given))
		for i, g := range c.given {
			given[i] = []byte(g)
		}
		got, err := localInput(c.kind, given)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.items < 0 {
			if got.Describe() != c.want {
				t.Errorf("%s: got %s, want %s", c.name, got.Describe(), c.want)
			}
			continue
		}
		if len(got.Items) != c.items {
			t.Errorf("%s: got %s, want %d items", c.name, got.Describe(), c.items)
		}
		for _, item := range got.Items {
			if item.Describe() != c.want {
				t.Errorf("%s: got %s, want %s", c.name, item.Describe(), c.want)
			}
		}
	}
	if _, err := localInput(pixels, [][]byte{image, image}); err == nil {
		t.Error("two images are taken for one")
	}
}
