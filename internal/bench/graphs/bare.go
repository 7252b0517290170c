package graphs

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/internal/rig"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// bare is ONNX Runtime in this process with the settings that a server has by default.
type bare struct {
	root    string
	runtime *onnx.Runtime
	models  map[string]*onnx.Model
}

// modelRun is one run of one model.
type modelRun struct {
	model *onnx.Model
	in    []runners.Tensor
}

func openBare(ctx context.Context, root string) (*bare, error) {
	rt, _, err := subject.Runtime(ctx, root, 0)
	if err != nil {
		return nil, err
	}
	return &bare{root: root, runtime: rt, models: map[string]*onnx.Model{}}, nil
}

func (b *bare) close() error {
	var errs []error
	for _, m := range b.models {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// prepare loads the models and lays out their runs: one for each node, or one for each item of a mapped node.
func (b *bare) prepare(ctx context.Context, work []modelInput) ([]modelRun, error) {
	var runs []modelRun
	for _, w := range work {
		m, err := b.load(ctx, w.model)
		if err != nil {
			return nil, err
		}
		more, err := runsOf(m, w)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", w.model, err)
		}
		runs = append(runs, more...)
	}
	return runs, nil
}

func (b *bare) load(ctx context.Context, name string) (*onnx.Model, error) {
	if m := b.models[name]; m != nil {
		return m, nil
	}
	path, ok := rig.ModelFile(b.root, name)
	if !ok {
		return nil, fmt.Errorf("model %s is none of the examples'", name)
	}
	m, err := b.runtime.LoadFile(ctx, path, onnx.Options{})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	b.models[name] = m
	return m, nil
}

func runsOf(m *onnx.Model, w modelInput) ([]modelRun, error) {
	var runs []modelRun
	for port, p := range m.Signature().Inputs {
		tensors, err := items(w.in[p.Name])
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", p.Name, err)
		}
		if port == 0 {
			runs = make([]modelRun, len(tensors))
		}
		if len(tensors) != len(runs) {
			return nil, fmt.Errorf("input %s has %d items, others have %d", p.Name, len(tensors), len(runs))
		}
		for i, t := range tensors {
			runs[i].model, runs[i].in = m, append(runs[i].in, t)
		}
	}
	return runs, nil
}

// runAll does all runs, one after the other, and gives the outputs back.
func runAll(ctx context.Context, runs []modelRun) error {
	for _, r := range runs {
		if err := subject.Once(ctx, r.model, r.in); err != nil {
			return err
		}
	}
	return nil
}
