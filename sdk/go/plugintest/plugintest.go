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
	// Clock is the time in nanoseconds that a function sees.
	Clock int64
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

var _ plugin.Host = (*Recorder)(nil)

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
