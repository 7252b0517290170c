//go:build !wasip1

package plugin

// Register makes p the plugin of the module that is being built. Call it once, while package main initialises:
//
//	var _ = plugin.Register(mine.Plugin())
//
// Built natively there is no server to register with: Register does nothing and returns false.
func Register(_ Plugin) bool { return false }
