package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tandem-serve/tandem/host/value"
)

// Errors with which a service answers a guest; anything else reads as "model error" there.
var (
	// ErrNotFound says that there is no such model.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that the guest may not have it.
	ErrDenied = errors.New("denied")
	// ErrQuota says that the guest had its share.
	ErrQuota = errors.New("quota exceeded")
)

// Services is what a guest reaches through host functions during one call. A nil field is denied to the guest (Record,
// Models) or ignored (Log, Metric). All run on the goroutine of the call, or, for models started in parallel, on others.
type Services struct {
	// Record appends one JSON document to a stream. doc is valid JSON, is owned by the callee, and has been counted.
	Record func(ctx context.Context, stream string, doc []byte) error
	// Log gets what the plugin logs or prints: valid UTF-8, bounded, one line each.
	Log func(ctx context.Context, level slog.Level, text string)
	// Metric gets counters, gauges and histogram samples.
	Metric func(ctx context.Context, kind MetricKind, name string, v float64)
	// Spend is told what a call uses, the start of its instance included, at least every millisecond that a guest runs, and at
	// its end: fuel, and the time for which it had a core or the host worked for it. An error stops the guest with KindQuota. It
	// must be fast.
	Spend func(fuel uint64, core time.Duration) error
	// Output is asked before outputs of so many bytes are copied out of the guest. An error ends the call with KindQuota.
	Output func(bytes int64) error
	// Models runs models.
	Models Models
}

// MetricKind says what a metric's value means.
type MetricKind int32

// Kinds of metric, as guests number them.
const (
	MetricCounter   MetricKind = 0
	MetricGauge     MetricKind = 1
	MetricHistogram MetricKind = 2
)

// Models runs models on behalf of a guest.
type Models interface {
	// Open resolves a model by the name under which the graph lists it; it answers ErrDenied for a name that is not
	// granted. The number is passed to Run in the same call.
	Open(ctx context.Context, name string) (model int, err error)
	// Run runs a model. The inputs' memory is the caller's and stays as it is until Run returns, not longer; the
	// outputs' memory belongs to the guest's call until that has ended. Calls may overlap.
	Run(ctx context.Context, model int, in []ModelValue) ([]ModelValue, error)
}

// ModelValue is an input or output of a model. Name "" means "by position".
type ModelValue struct {
	Name  string
	Value value.Value
}
