package main

import (
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestShout(t *testing.T) {
	with := plugintest.With[With](t, `{"marks": 2}`)
	out, err := Shout(plugintest.Context(), In{Text: "hello"}, with)
	if err != nil || out.Text != "HELLO!!" || out.Length != 7 {
		t.Errorf("got %+v, %v", out, err)
	}
	if _, err := Shout(plugintest.Context(), In{}, with); err == nil {
		t.Error("nothing to say was no error")
	}
}

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }
