package onnx_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

// library returns the path of ONNX Runtime. Its absence is a failure: `make test` sets it up.
func library(tb testing.TB) string {
	tb.Helper()
	lib, err := ortlib.Find(os.Getenv, ".")
	if err != nil {
		tb.Fatal(err)
	}
	return lib
}

// ocrModels returns the paths of the three OCR models.
func ocrModels(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", ".cache", "ocr-models", "*", "*.onnx"))
	if err != nil || len(paths) != 3 {
		tb.Fatalf("the OCR models are not in .cache: run `make setup` (%d found, %v)", len(paths), err)
	}
	return paths
}
