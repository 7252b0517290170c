// Package plugintest helps to test a plugin's functions natively, with plain go test and no server.
package plugintest

import (
	"slices"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// Recorder is a server that writes down what a function does to it. The zero Recorder is ready; it is for one test at a
// time and not for use by several goroutines.
type Recorder struct {
	// Lines are what was logged, in order.
	Lines []Line
	// Records are what was recorded, in order.
	Records []Record
	// Samples are what was measured, in order.
	Samples []Sample
	// RecordError, when set, is what recording answers.
	RecordError error
	// Models are the models that a function may call, by name. Default: none.
	Models map[string]func(in []plugin.Named) ([]plugin.Named, error)
	// Clock is the time in nanoseconds that a function sees.
	Clock int64

	opened []string
	runs   []run
}

// run is a run of a model that was started.
type run struct {
	out []plugin.Named
	err error
}

// Line is one line of a log.
type Line struct {
	Level plugin.Level
	Text  string
}

// Record is one document that was appended to a stream.
type Record struct {
	Stream string
	Doc    plugin.JSON
}

// Sample is one sample of a metric.
type Sample struct {
	Kind  plugin.MetricKind
	Name  string
	Value float64
}

var (
	_ plugin.Host      = (*Recorder)(nil)
	_ plugin.ModelHost = (*Recorder)(nil)
)

// Context returns a context over r for a call without configuration or time limit. For others see [plugin.NewContext].
func (r *Recorder) Context() *plugin.Context { return plugin.NewContext(r, nil, 0) }

// Log writes a line down.
func (r *Recorder) Log(level plugin.Level, message string) {
	r.Lines = append(r.Lines, Line{level, message})
}

// Record writes a document down, or returns RecordError.
func (r *Recorder) Record(stream string, doc plugin.JSON) error {
	if r.RecordError != nil {
		return r.RecordError
	}
	r.Records = append(r.Records, Record{stream, slices.Clone(doc)})
	return nil
}

// Metric writes a sample down.
func (r *Recorder) Metric(kind plugin.MetricKind, name string, v float64) error {
	r.Samples = append(r.Samples, Sample{kind, name, v})
	return nil
}

// OpenModel finds a model in Models.
func (r *Recorder) OpenModel(name string) (int32, error) {
	if r.Models[name] == nil {
		return 0, plugin.ErrDenied
	}
	r.opened = append(r.opened, name)
	return int32(len(r.opened) - 1), nil
}

// RunModel runs a model of Models.
func (r *Recorder) RunModel(model int32, in []plugin.Named, outputs []string) ([]plugin.Named, error) {
	out, err := r.Models[r.opened[model]](in)
	if err != nil {
		return nil, err
	}
	return pick(out, outputs)
}

// StartModel runs a model of Models at once.
func (r *Recorder) StartModel(model int32, in []plugin.Named) (uint32, error) {
	out, err := r.Models[r.opened[model]](in)
	r.runs = append(r.runs, run{out, err})
	return uint32(len(r.runs)), nil
}

// WaitModel returns what a run that was started gave.
func (r *Recorder) WaitModel(ticket uint32, outputs []string, _ int32) ([]plugin.Named, error) {
	if ticket == 0 || int(ticket) > len(r.runs) {
		return nil, plugin.ErrNotFound
	}
	one := r.runs[ticket-1]
	if one.err != nil {
		return nil, one.err
	}
	return pick(one.out, outputs)
}

// WaitAnyModel returns the first: all are done.
func (r *Recorder) WaitAnyModel([]uint32, int32) (int, error) { return 0, nil }

// pick returns outputs by name, or by position where the name is "".
func pick(out []plugin.Named, names []string) ([]plugin.Named, error) {
	picked := make([]plugin.Named, len(names))
	for i, name := range names {
		at := slices.IndexFunc(out, func(n plugin.Named) bool { return n.Name == name })
		if name == "" {
			at = i
		}
		if at < 0 || at >= len(out) {
			return nil, plugin.ErrNotFound
		}
		picked[i] = out[at]
	}
	return picked, nil
}

// Now returns Clock.
func (r *Recorder) Now() int64 { return r.Clock }

// Context returns a context whose records and logs nobody looks at.
func Context() *plugin.Context { return (&Recorder{}).Context() }

// With decodes a configuration as the server's call would, defaults included, and ends the test when it is refused.
func With[W any](t testing.TB, doc string) W {
	t.Helper()
	w, err := plugin.DecodeWith[W]([]byte(doc))
	if err != nil {
		t.Fatalf("configuration %s: %v", doc, err)
	}
	return w
}

// Check ends the test when p is declared wrongly.
func Check(t testing.TB, p plugin.Plugin) {
	t.Helper()
	if err := plugin.Check(p); err != nil {
		t.Fatalf("plugin %s: %v", p.Name, err)
	}
}
