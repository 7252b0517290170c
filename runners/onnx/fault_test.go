package onnx_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
)

func TestShorten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                  "",
		"plain":             "plain",
		"two\nlines\t here": "two lines here",
		"at /onnxruntime_src/onnxruntime/core/x.cc:3 void f() it broke": "at void f() it broke",
		"bad \xff bytes": "bad \uFFFD bytes",
	} {
		if got := onnx.Shorten(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := onnx.Shorten(strings.Repeat("ü", 600)); len(got) > 520 || !strings.HasSuffix(got, "ü...") {
		t.Errorf("got %d bytes ending in %q", len(got), got[len(got)-8:])
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 63})
	f.Add([]byte{2, 1, 0, 0, 0, 0, 0, 0, 0, 3, 1, 7, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, walked []byte) {
		got, err := onnx.Document(walked)
		if err != nil {
			if !errors.Is(err, runners.ErrRun) {
				t.Fatalf("got %v, want ErrRun", err)
			}
			return
		}
		elems, err := runners.UnpackBytes(got.Data, 1)
		if err != nil || !json.Valid(elems[0]) {
			t.Fatalf("got %q, %v, want JSON", got.Data, err)
		}
	})
}
