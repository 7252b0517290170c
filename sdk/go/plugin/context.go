package plugin

import (
	"errors"
)

// Level says how urgent a log line is.
type Level int32

// Levels of log lines.
const (
	LevelDebug Level = 0
	LevelInfo  Level = 1
	LevelWarn  Level = 2
	LevelError Level = 3
)

// MetricKind says how samples of a metric add up.
type MetricKind int32

// Kinds of metrics.
const (
	Counter   MetricKind = 0
	Gauge     MetricKind = 1
	Histogram MetricKind = 2
)

// Errors of calls into the server.
var (
	ErrTooLarge = errors.New("too large")
	ErrQuota    = errors.New("quota used up")
	ErrDenied   = errors.New("denied")
	ErrHost     = errors.New("refused by the server")
)

// Host is what a function reaches outside of its sandbox. The server implements it; so does plugintest.Recorder.
type Host interface {
	// Log writes one line to the server's log.
	Log(level Level, message string)
	// Record appends doc to a stream of records.
	Record(stream string, doc JSON) error
	// Metric adds one sample.
	Metric(kind MetricKind, name string, v float64) error
	// Now returns a coarse monotonic clock's time in nanoseconds.
	Now() int64
}

// Context is what a function knows about the call that it serves. It must not be kept after the function returned.
type Context struct {
	host      Host
	config    JSON
	requestID uint64
	budget    int64 // nanoseconds, 0: none
	entered   int64 // nanoseconds
}

// NewContext returns a context for tests that call functions directly; see also plugintest.Context. Budget is the time
// in nanoseconds that the call may take, 0 for no limit.
func NewContext(h Host, config JSON, budget int64) *Context {
	c := &Context{host: h, config: config, budget: budget}
	if budget > 0 {
		c.entered = h.Now()
	}
	return c
}

func newContext(i *instance, r *request) *Context {
	c := NewContext(i.host, i.config, int64(min(r.deadlineNs, 1<<62)))
	c.requestID = r.requestID
	return c
}

// Log writes one line to the server's log, beside the names of tenant, graph and node. The server limits how much one
// call may log and drops the rest.
func (c *Context) Log(level Level, message string) { c.host.Log(level, message) }

// Record appends one JSON document to a stream that people list and aggregate afterwards, such as "comparisons". It
// fails with [ErrTooLarge] or [ErrQuota] beyond the limits of one call.
func (c *Context) Record(stream string, doc JSON) error { return c.host.Record(stream, doc) }

// Metric adds one sample to a metric of the plugin.
func (c *Context) Metric(kind MetricKind, name string, v float64) error {
	return c.host.Metric(kind, name, v)
}

// Config returns the node's configuration as it was written, nil when it has none. The function's With parameter holds
// the same, decoded.
func (c *Context) Config() JSON { return c.config }

// RequestID returns a number that the server's log also carries.
func (c *Context) RequestID() uint64 { return c.requestID }

// Deadline returns the nanoseconds that are left for this call, and whether there is a limit. The server stops a call at
// its deadline in any case; this is for functions that can do less work. (A time.Duration would make every plugin 10 %
// larger; the number converts to one.)
func (c *Context) Deadline() (left int64, ok bool) {
	if c.budget == 0 {
		return 0, false
	}
	return max(c.budget-(c.host.Now()-c.entered), 0), true
}
