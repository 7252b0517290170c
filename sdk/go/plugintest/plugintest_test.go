package plugintest_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestRecorder(t *testing.T) {
	r := &plugintest.Recorder{Clock: 5}
	ctx := r.Context()
	ctx.Log(plugin.LevelWarn, "careful")
	if err := ctx.Record("s", plugin.JSON("{}")); err != nil {
		t.Fatal(err)
	}
	if err := ctx.Metric(plugin.Gauge, "g", 2); err != nil {
		t.Fatal(err)
	}
	want := &plugintest.Recorder{
		Clock:   5,
		Lines:   []plugintest.Line{{Level: plugin.LevelWarn, Text: "careful"}},
		Records: []plugintest.Record{{Stream: "s", Doc: plugin.JSON("{}")}},
		Samples: []plugintest.Sample{{Kind: plugin.Gauge, Name: "g", Value: 2}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v, want %+v", r, want)
	}
	r.RecordError = plugin.ErrTooLarge
	if err := ctx.Record("s", nil); !errors.Is(err, plugin.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, plugin.ErrTooLarge)
	}
}

func TestWith(t *testing.T) {
	type with struct {
		N int `with:"n" default:"3"`
	}
	if got := plugintest.With[with](t, ""); got.N != 3 {
		t.Errorf("got %d, want 3", got.N)
	}
	plugintest.Check(t, plugin.Plugin{Name: "p", Functions: []plugin.Function{
		plugin.Func("f", "", func(*plugin.Context, plugin.None, with) (plugin.None, error) { return plugin.None{}, nil }),
	}})
}
