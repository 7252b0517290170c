//go:build wasip1

// Command wasm is the module of the image plugin.
package main

import (
	"github.com/tandem-serve/tandem/plugins/image"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

var _ = plugin.Register(image.Plugin())

func main() {}
