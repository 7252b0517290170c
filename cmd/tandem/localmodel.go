package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/runners/worker"
)

// localModels are the models that a plugin may call when it runs without a server.
type localModels struct {
	Model       map[string]string `help:"Model that the plugin may call, by the name that it asks for: an ONNX file, which a process of its own runs." placeholder:"NAME=FILE.onnx" mapsep:"none"`
	ONNXRuntime string            `name:"onnxruntime" help:"Path of libonnxruntime, for --model. Default: found in the project's .cache." env:"ONNXRUNTIME_LIB" placeholder:"FILE" type:"path"`
}

// open loads the models into a worker, as a server does: native code on a file that may crash it. close ends the worker. Without
// any model there is none, and models is nil: a plugin that asks for one is denied it.
func (c *localModels) open(ctx context.Context, e *env) (models sandbox.Models, closeAll func() error, err error) {
	if len(c.Model) == 0 {
		return nil, func() error { return nil }, nil
	}
	lib, missing := findLibrary(e, c.ONNXRuntime)
	if missing != "" {
		return nil, nil, errors.New("--model: " + missing)
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program, which runs models in a process of its own: %w", err)
	}
	pool, err := worker.New(ctx, worker.Config{
		Command: []string{exe, "worker"}, Library: lib, Logger: slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, nil, err
	}
	var callees []engine.Callee
	for _, name := range slices.Sorted(maps.Keys(c.Model)) {
		loaded, err := loadLocal(ctx, pool, name, c.Model[name])
		if err != nil {
			return nil, nil, errors.Join(err, pool.Close())
		}
		callees = append(callees, engine.Callee{Ref: name, Of: engine.Of{Label: name}, Runner: loaded})
	}
	return engine.TryModels(callees), pool.Close, nil
}

func loadLocal(ctx context.Context, pool *worker.Pool, name, file string) (*worker.Model, error) {
	model, err := os.ReadFile(file) //nolint:gosec // the user named the file
	if err != nil {
		return nil, fmt.Errorf("--model %s: %w", name, err)
	}
	loaded, err := pool.Load(ctx, worker.Key{}, worker.LoadParams{Label: name, Model: model})
	if err != nil {
		return nil, fmt.Errorf("--model %s: %s: %w", name, file, err)
	}
	return loaded, nil
}
