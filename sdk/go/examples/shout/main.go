// Command shout is the smallest useful plugin: it repeats a text in capitals. Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w" -o shout.wasm .
package main

import (
	"errors"
	"strings"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// In is what a graph feeds to shout.
type In struct {
	Text string `tdm:"text" doc:"what to say"`
}

// With is how a node configures shout.
type With struct {
	Marks int `with:"marks" default:"1" min:"0" max:"9" doc:"exclamation marks to add"`
}

// Out is what shout answers.
type Out struct {
	Text   string `tdm:"text"`
	Length int64  `tdm:"length" doc:"bytes of the text"`
}

// Shout says it louder. Nothing to say is an error.
func Shout(ctx *plugin.Context, in In, with With) (Out, error) {
	if in.Text == "" {
		return Out{}, errors.New("nothing to say")
	}
	ctx.Log(plugin.LevelDebug, "shouting")
	text := strings.ToUpper(in.Text) + strings.Repeat("!", with.Marks)
	return Out{Text: text, Length: int64(len(text))}, nil
}

// Plugin describes the module.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name: "shout", Version: "0.1.0", Doc: "Says it louder.",
		Functions: []plugin.Function{plugin.Func("shout", "repeats a text in capitals", Shout)},
	}
}

var _ = plugin.Register(Plugin())

func main() {}
