// Package sdk owns the sources of the SDKs for C, C++, Rust, Zig and AssemblyScript as files, so that a program that holds
// them can begin a plugin anywhere. It has no goroutines and no locks. The SDK for Go is the module in folder go.
package sdk

import "embed"

// Sources are the SDKs and their examples, below c, rust, zig and as.
//
//go:embed c/*.h c/*.hpp c/examples/*.c c/examples/*.h c/examples/*.cpp c/examples/*.hpp
//go:embed rust/Cargo.toml rust/src rust/examples/shout/Cargo.toml rust/examples/shout/src
//go:embed zig/*.zig zig/examples/shout/*.zig
//go:embed as/assembly as/testing/plugin.mjs as/examples/shout
var Sources embed.FS
