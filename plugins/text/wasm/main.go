//go:build wasip1

// Command wasm is the module of the text plugin.
package main

import (
	"github.com/tandem-serve/tandem/plugins/text"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

var _ = plugin.Register(text.Plugin())

func main() {}
