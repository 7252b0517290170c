//go:build wasip1

// Command wasm is the module of the classify plugin.
package main

import (
	"github.com/tandem-serve/tandem/plugins/classify"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

var _ = plugin.Register(classify.Plugin())

func main() {}
