//go:build wasip1

// Command wrongplugin is a plugin whose declaration is wrong: the server must say what is.
package main

import "github.com/tandem-serve/tandem/sdk/go/plugin"

type in struct {
	N chan int `tdm:"n"`
	T string   `tdm:"a b"`
}

func wrong(*plugin.Context, in, plugin.None) (plugin.None, error) { return plugin.None{}, nil }

var _ = plugin.Register(plugin.Plugin{Name: "wrong", Functions: []plugin.Function{plugin.Func("wrong", "", wrong)}})

func main() {}
