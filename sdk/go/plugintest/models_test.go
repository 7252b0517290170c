package plugintest

import (
	"errors"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// recorderWithModels has "inc", which adds one, and "bad", which fails.
func recorderWithModels() *Recorder {
	return &Recorder{Models: map[string]func([]plugin.Named) ([]plugin.Named, error){
		"inc": func(in []plugin.Named) ([]plugin.Named, error) {
			x, ok := plugin.As[int64](in[0].Tensor)
			if !ok {
				return nil, plugin.ErrModel
			}
			return []plugin.Named{plugin.Input("y", plugin.Of([]int64{x.Data[0] + 1}, 1)), {Name: "info", JSON: plugin.JSON(`{}`)}}, nil
		},
		"bad": func([]plugin.Named) ([]plugin.Named, error) { return nil, plugin.ErrModel },
	}}
}

func TestModels(t *testing.T) {
	ctx := recorderWithModels().Context()
	inc, err := ctx.Model("inc")
	if err != nil {
		t.Fatal(err)
	}
	one := []plugin.Named{plugin.Input("x", plugin.Of([]int64{1}, 1))}
	for _, names := range [][]string{nil, {"y"}, {"info", "y"}} {
		out, err := inc.Run(one, names...)
		if err != nil || len(out) != max(1, len(names)) {
			t.Fatalf("%v: got %v, %v", names, out, err)
		}
		y, ok := plugin.As[int64](out[len(out)-1].Tensor)
		if !ok || y.Data[0] != 2 {
			t.Errorf("%v: got %v, want 2", names, y)
		}
	}
	if _, err := inc.Run(one, "z"); !errors.Is(err, plugin.ErrNotFound) {
		t.Errorf("an output that is not there: %v", err)
	}
	a, errA := inc.Start(one)
	b, errB := inc.Start(one, "info")
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if i, err := plugin.WaitAny(a, b); i != 0 || err != nil {
		t.Errorf("got %d, %v", i, err)
	}
	all, err := plugin.WaitAll(a, b)
	if err != nil || string(all[1][0].JSON) != `{}` {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := plugin.WaitAny(); !errors.Is(err, plugin.ErrNotFound) {
		t.Errorf("wait for none: %v", err)
	}
	bad, err := ctx.Model("bad")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bad.Run(one); !errors.Is(err, plugin.ErrModel) {
		t.Errorf("got %v, want %v", err, plugin.ErrModel)
	}
	started, err := bad.Start(one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plugin.WaitAll(started); !errors.Is(err, plugin.ErrModel) {
		t.Errorf("got %v, want %v", err, plugin.ErrModel)
	}
	if _, err := ctx.Model("other"); err == nil || err.Error() != "model other: denied" {
		t.Errorf("got %v", err)
	}
}
