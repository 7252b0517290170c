package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/api"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// localPlugin is a module that runs in this program, in the sandbox of a server with its default limits.
type localPlugin struct {
	*sandbox.Plugin
	host *sandbox.Host
	// models are those that it may call, nil for none, and closeModels ends what runs them.
	models      sandbox.Models
	closeModels func() error
	// size is the module's in bytes; loaded is how long admission and compiling took.
	size   int
	loaded time.Duration
}

// openLocal loads a module. What the sandbox refuses is printed, every reason on a line, and fails with invalidError.
func (e *env) openLocal(ctx context.Context, file string) (*localPlugin, error) {
	wasm, err := os.ReadFile(file) //nolint:gosec // the user named the file
	if err != nil {
		return nil, err
	}
	h, err := sandbox.New(ctx, localConfig())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := h.Load(ctx, wasm)
	if err != nil {
		return nil, errors.Join(refusal(e, file, err), h.Close(context.WithoutCancel(ctx)))
	}
	none := func() error { return nil }
	return &localPlugin{Plugin: p, host: h, size: len(wasm), loaded: time.Since(began), closeModels: none}, nil
}

// localConfig keeps compiled code in the user's cache folder, where there is one, so that a plugin is compiled once.
func localConfig() sandbox.Config {
	c := sandbox.Config{DescribeTimeout: 20 * time.Second, UploadTimeout: 5 * time.Minute}
	if dir, err := os.UserCacheDir(); err == nil {
		c.CacheDir, c.CacheBytes = filepath.Join(dir, "tandem", "plugins"), 256<<20
	}
	return c
}

// refusal prints the reasons of a refused module.
func refusal(e *env, file string, err error) error {
	r, ok := errors.AsType[*sandbox.RejectError](err)
	if !ok {
		return err
	}
	_, _ = fmt.Fprintf(e.err, "tandem: %s is refused:\n", file)
	for _, reason := range r.Reasons {
		_, _ = fmt.Fprintf(e.err, "  %s [%s]\n", reason.Text, reason.Code)
	}
	return fmt.Errorf("%w: %w", errSaid, &invalidError{"the module is refused"})
}

// close waits for what still runs.
func (p *localPlugin) close(ctx context.Context) error {
	return errors.Join(p.Close(), p.host.Close(context.WithoutCancel(ctx)), p.closeModels())
}

// function finds a function by name.
func (p *localPlugin) function(name string) (abi.Function, error) {
	var names []string
	for _, f := range p.Description().Functions {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return abi.Function{}, usagef("the plugin has no function %s; it has %s", name, strings.Join(names, ", "))
}

// localCall is how plugin run and bench are told what to call.
type localCall struct {
	localModels
	File     string   `arg:"" help:"WebAssembly module." type:"existingfile"`
	Function string   `arg:"" help:"Name of the function."`
	Input    []string `short:"i" help:"Input as name=value, name=@file or name=- (standard input), as for infer. An image for a tensor port [h,w,3] is decoded. A list is a JSON array, or given once for each item." placeholder:"NAME=VALUE" sep:"none"`
	With     string   `help:"Configuration: JSON, @file or - (standard input)." placeholder:"JSON"`
}

// prepare loads the module and reads inputs and configuration. The caller must close the plugin.
func (c *localCall) prepare(ctx context.Context, e *env) (*localPlugin, sandbox.Call, abi.Function, error) {
	p, err := e.openLocal(ctx, c.File)
	if err != nil {
		return nil, sandbox.Call{}, abi.Function{}, err
	}
	call, f, err := c.read(e, p)
	if err == nil {
		err = c.grant(ctx, e, p)
	}
	if err != nil {
		return nil, sandbox.Call{}, abi.Function{}, errors.Join(err, p.close(ctx))
	}
	return p, call, f, nil
}

// grant loads the models that the plugin may call.
func (c *localCall) grant(ctx context.Context, e *env, p *localPlugin) error {
	models, closeAll, err := c.open(ctx, e)
	if err == nil {
		p.models, p.closeModels = models, closeAll
	}
	return err
}

// read reads inputs and configuration.
func (c *localCall) read(e *env, p *localPlugin) (sandbox.Call, abi.Function, error) {
	f, err := p.function(c.Function)
	if err != nil {
		return sandbox.Call{}, f, err
	}
	call := sandbox.Call{Function: f.Name}
	if call.Inputs, err = c.inputs(e, f); err != nil {
		return call, f, err
	}
	if c.With != "" {
		with, err := e.argument(c.With)
		if err != nil {
			return call, f, fmt.Errorf("--with: %w", err)
		}
		call.With = with
	}
	if err := p.ValidateWith(f.Name, call.With); err != nil {
		return call, f, usagef("--with: %v", err)
	}
	return call, f, nil
}

// inputs reads the -i flags in the order of the function's ports.
func (c *localCall) inputs(e *env, f abi.Function) ([]value.Value, error) {
	ports, err := graph.PluginPorts(f.Inputs)
	if err != nil {
		return nil, err
	}
	given, err := e.repeatedFlags(c.Input)
	if err != nil {
		return nil, err
	}
	in := make([]value.Value, len(ports))
	for name, data := range given {
		i := slices.IndexFunc(ports, func(p graph.Port) bool { return p.Name == name })
		if i < 0 {
			return nil, usagef("function %s has no input %s; it has %s", f.Name, name, portNames(ports))
		}
		if in[i], err = localInput(ports[i].Type, data); err != nil {
			return nil, usagef("input %s (%s): %v", name, ports[i].Type, err)
		}
	}
	for i, p := range ports {
		if in[i].IsZero() && !p.Optional {
			return nil, usagef("input %s (%s) is missing", p.Name, p.Type)
		}
	}
	return in, nil
}

func portNames(ports []graph.Port) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// localInput reads what one input was given: one value, or, of a list, the items. A list that was given once is a JSON array,
// but images and bytes, which JSON has not, are items.
func localInput(t graph.Type, given [][]byte) (value.Value, error) {
	if len(given) > 1 && t.List == 0 {
		return value.Value{}, errors.New("it is given twice, and is no list")
	}
	_, encoded := imaging.Sniff(given[0])
	if len(given) == 1 && (t.List == 0 || !encoded && t.Kind != abi.KindImage && t.Kind != abi.KindBytes) {
		return localValue(t, given[0])
	}
	t.List--
	items := make([]value.Value, len(given))
	for i, data := range given {
		var err error
		if items[i], err = localValue(t, data); err != nil {
			return value.Value{}, fmt.Errorf("item %d: %w", i, err)
		}
	}
	return value.List(items), nil
}

// localValue reads a flag's bytes as a graph would hand them to a port: encoded images become pixels for tensor ports.
func localValue(t graph.Type, data []byte) (value.Value, error) {
	if _, encoded := imaging.Sniff(data); encoded && t.Kind == abi.KindTensor && t.List == 0 {
		img, err := imaging.Decode(data, imaging.Limits{})
		if err != nil {
			return value.Value{}, err
		}
		return value.Tensor(abi.UINT8, []int64{int64(img.H), int64(img.W), 3}, img.Pix), nil
	}
	return api.ParseLiteral(t, data)
}

// wireOutputs returns the outputs that were given, by name.
func wireOutputs(f abi.Function, outputs []value.Value) (map[string]*tandemv1.Value, error) {
	out := map[string]*tandemv1.Value{}
	for i, v := range outputs {
		if v.IsZero() {
			continue
		}
		w, err := api.WireValue(v, tandemv1.TensorEncoding_TENSOR_ENCODING_ELEMENTS)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", f.Outputs[i].Name, err)
		}
		out[f.Outputs[i].Name] = w
	}
	return out, nil
}

// services print what the plugin logs, measures and records, as it happens, and let it call models.
func (e *env) services(models sandbox.Models) sandbox.Services {
	tell := func(format string, args ...any) { _, _ = fmt.Fprintf(e.err, format+"\n", args...) }
	return sandbox.Services{
		Models: models,
		Log:    func(_ context.Context, level slog.Level, text string) { tell("log %s: %s", level, text) },
		Record: func(_ context.Context, stream string, doc []byte) error {
			tell("record %s: %s", stream, doc)
			return nil
		},
		Metric: func(_ context.Context, _ sandbox.MetricKind, name string, v float64) { tell("metric %s: %g", name, v) },
	}
}
