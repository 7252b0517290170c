//go:build wasip1

// Command wasm is the module of the ensemble plugin.
package main

import (
	"github.com/tandem-serve/tandem/plugins/ensemble"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

var _ = plugin.Register(ensemble.Plugin())

func main() {}
