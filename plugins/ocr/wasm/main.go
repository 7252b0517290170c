//go:build wasip1

// Command wasm is the module of the ocr plugin.
package main

import (
	"github.com/tandem-serve/tandem/plugins/ocr"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

var _ = plugin.Register(ocr.Plugin())

func main() {}
