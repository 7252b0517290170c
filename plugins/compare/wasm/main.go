//go:build wasip1

// Command wasm is the module of the compare plugin.
package main

import (
	"github.com/tandem-serve/tandem/plugins/compare"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

var _ = plugin.Register(compare.Plugin())

func main() {}
