// Command extism times Extism's Go SDK beside Tandem's plugin host: the bench suite sandbox runs it. It prints one JSON object
// of microseconds. It is a module of its own, so that what it needs is not among the server's dependencies.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	extism "github.com/extism/go-sdk"
)

//go:embed testdata/extism.wasm
var module []byte

func main() {
	each := time.Second
	if len(os.Args) > 1 {
		d, err := time.ParseDuration(os.Args[1])
		if err != nil {
			fail(err)
		}
		each = d
	}
	out, err := run(context.Background(), each)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(out)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "extism:", err)
	os.Exit(1)
}

// run returns medians by name.
func run(ctx context.Context, each time.Duration) (map[string]float64, error) {
	compiled, err := extism.NewCompiledPlugin(ctx, extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: module}}},
		extism.PluginConfig{}, nil)
	if err != nil {
		return nil, err
	}
	p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return nil, err
	}
	tensor := make([]byte, 4<<20)
	out := map[string]float64{}
	for name, f := range map[string]func() error{
		"call":   func() error { _, _, err := p.Call("nothing", nil); return err },
		"tensor": func() error { _, _, err := p.Call("echo", tensor); return err },
		"instance and call": func() error {
			in, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
			if err != nil {
				return err
			}
			if _, _, err := in.Call("nothing", nil); err != nil {
				return err
			}
			return in.Close(ctx)
		},
	} {
		if out[name], err = median(each, f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out, nil
}

// median calls f for a while and returns the median in microseconds.
func median(each time.Duration, f func() error) (float64, error) {
	var all []time.Duration
	for until := time.Now().Add(each); len(all) < 3 || time.Now().Before(until); {
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return float64(all[len(all)/2]) / 1e3, nil
}
