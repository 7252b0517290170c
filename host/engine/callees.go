package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

// Callee is a model that a plugin may run itself.
type Callee struct {
	// Ref is how the graph lists it: "name", "name@2".
	Ref string
	Of
	// Runner runs it and stays the caller's.
	Runner runners.Runner
}

// TryModels returns models that a plugin may run outside of any graph, for a program that tries one. What they answer is copied.
// They serve calls one after another or at the same time.
func TryModels(models []Callee) sandbox.Models {
	return &callees{models: models, as: func(ctx context.Context) context.Context { return ctx }}
}

// callees are the models of one plugin call. They belong to the call's goroutine, but for Run, which the sandbox calls from
// others too.
type callees struct {
	models []Callee
	// as marks a context with who calls, so that the batcher knows whose turn a run takes.
	as    func(context.Context) context.Context
	limit int64
	// request holds what models give; nil holds nothing.
	request *holding

	mu    sync.Mutex // guards the following
	held  []runners.Tensor
	bytes int64  // lent
	taken int64  // that the request holds because of models
	runs  stats  // of the models
	last  string // the failure of a model, for the error of the plugin that it brings down
}

var _ sandbox.Models = (*callees)(nil)

// Open returns the number of a model that the graph grants, by the name under which it lists it, or by its bare name.
func (m *callees) Open(_ context.Context, name string) (int, error) {
	bare := -1
	for i := range m.models {
		if m.models[i].Ref == name {
			return i, nil
		}
		if base, _, _ := strings.Cut(m.models[i].Ref, "@"); base == name {
			if bare >= 0 {
				return 0, fmt.Errorf("%w: the node may call more than one version of %s", sandbox.ErrNotFound, name)
			}
			bare = i
		}
	}
	if bare < 0 {
		return 0, fmt.Errorf("%w: the node may not call %s", sandbox.ErrDenied, name)
	}
	return bare, nil
}

// Run runs a model over the guest's values and keeps what comes out until the call has ended.
func (m *callees) Run(ctx context.Context, model int, in []sandbox.ModelValue) ([]sandbox.ModelValue, error) {
	callee := &m.models[model]
	sig := callee.Runner.Signature()
	tensors, err := arrange(sig.Inputs, in)
	out := make([]runners.Tensor, len(sig.Outputs))
	if err == nil {
		var account batch.Account
		began := time.Now()
		err = callee.Runner.Run(batch.WithAccount(m.as(ctx), &account), tensors, out)
		m.mu.Lock()
		m.runs.called(statsOf(&account, time.Since(began), rowsOf(tensors)))
		m.mu.Unlock()
	}
	if err != nil {
		err = fmt.Errorf("model %s: %w", callee.Label, err)
		m.mu.Lock()
		m.last = err.Error()
		m.mu.Unlock()
		return nil, err
	}
	return m.keep(graph.ModelTypeOf(sig), out)
}

// arrange puts named values, and unnamed ones by position, in the order of a model's inputs.
func arrange(ports []runners.Port, in []sandbox.ModelValue) ([]runners.Tensor, error) {
	out, fed := make([]runners.Tensor, len(ports)), make([]bool, len(ports))
	for i := range in {
		at := i
		if in[i].Name != "" {
			for at = range ports {
				if ports[at].Name == in[i].Name {
					break
				}
			}
		}
		if at >= len(ports) || (in[i].Name != "" && ports[at].Name != in[i].Name) {
			return nil, fmt.Errorf("%w: it has no input %s", runners.ErrShape, inputName(in[i].Name, i))
		}
		if fed[at] {
			return nil, fmt.Errorf("%w: input %s is given twice", runners.ErrShape, ports[at].Name)
		}
		if in[i].Value.Kind != abi.KindTensor {
			return nil, fmt.Errorf("%w: input %s is %s, not a tensor", runners.ErrShape, ports[at].Name, in[i].Value.Describe())
		}
		out[at], fed[at] = tensorOf(in[i].Value), true
	}
	for i := range fed {
		if !fed[i] {
			return nil, fmt.Errorf("%w: input %s is missing", runners.ErrShape, ports[i].Name)
		}
	}
	return out, nil
}

func inputName(name string, i int) string {
	if name == "" {
		return fmt.Sprintf("number %d", i)
	}
	return name
}

// keep makes values of a model's outputs. Up to the limit they stay where the runner put them, beyond it they are copied and
// the runner gets its memory back.
func (m *callees) keep(t *graph.ModelType, out []runners.Tensor) ([]sandbox.ModelValue, error) {
	size := int64(0)
	for i := range out {
		size += int64(len(out[i].Data))
	}
	if err := m.request.grow(size); err != nil {
		releaseTensors(out)
		return nil, err
	}
	m.mu.Lock()
	m.taken += size
	lend := size <= m.limit-m.bytes
	if lend {
		m.bytes += size
		m.held = append(m.held, out...)
	} else {
		m.runs.copied += size
	}
	m.mu.Unlock()
	if !lend {
		defer releaseTensors(out)
	}
	values := make([]sandbox.ModelValue, len(out))
	for i := range out {
		v, err := valueOf(&out[i], &graph.NodeOutput{Port: t.Outputs[i].Name, Type: t.Outputs[i].Type})
		if err != nil {
			return nil, err
		}
		if !lend {
			v = detachAll([]value.Value{v})[0]
		}
		values[i] = sandbox.ModelValue{Name: t.Outputs[i].Name, Value: v}
	}
	return values, nil
}

// free gives back the memory of all models. The call has ended.
func (m *callees) free() {
	releaseTensors(m.held)
	m.held = nil
	m.request.shrink(m.taken)
	m.taken = 0
}

// explain adds to a plugin's own error what its model said.
func (m *callees) explain(err error) error {
	if m == nil || m.last == "" {
		return err
	}
	e := *classify(err)
	if e.Reason != ReasonPlugin {
		return err
	}
	e.Text += " (its last failing call: " + m.last + ")"
	return &e
}
