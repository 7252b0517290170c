// Package gosdk owns the sources of the SDK for Go as files, so that a program that holds them can begin a plugin
// anywhere. Plugins import package plugin, and their tests package plugintest.
package gosdk

import "embed"

// Sources are this module and its example: go.mod, plugin, plugintest and examples/shout.
//
//go:embed go.mod plugin/*.go plugintest/*.go examples/shout/*.go
var Sources embed.FS
