package telemetry

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// DefaultMaxSeries bounds the label combinations of one metric; see Config.
const DefaultMaxSeries = 2000

// Config configures Metrics.
type Config struct {
	// Version is the server's, shown as a label of tandem_build_info.
	Version string
	// MaxSeries bounds the combinations of label values that one metric keeps, because graphs and nodes have names that
	// tenants choose. What comes after goes to the series whose labels are all "other". Default: DefaultMaxSeries.
	MaxSeries int
}

// Metrics is the server's registry. Nothing in it is global, so a process may have several.
type Metrics struct {
	reg       *prometheus.Registry
	maxSeries int
	calls     *Histogram
	nodes     *Histogram
	copied    *Counter
	cache     *Counter
	shadow    *Counter
	releases  *releases
}

// New returns a registry with the metrics of the process, of calls and of nodes.
func New(cfg Config) (*Metrics, error) {
	if cfg.MaxSeries <= 0 {
		cfg.MaxSeries = DefaultMaxSeries
	}
	m := &Metrics{reg: prometheus.NewRegistry(), maxSeries: cfg.MaxSeries}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tandem_build_info", Help: "1, with the server's version as a label.",
		ConstLabels: prometheus.Labels{"version": cfg.Version},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	var err error
	if m.calls, err = m.Histogram("tandem_call_seconds", "Time that finished calls took, by procedure and code.", "procedure", "code"); err != nil {
		return nil, err
	}
	if m.nodes, err = m.Histogram("tandem_node_seconds", "Time that finished nodes took, by graph, node and outcome.", "graph", "node", "outcome"); err != nil {
		return nil, err
	}
	if m.copied, err = m.Counter("tandem_edge_copied_bytes_total", "Bytes copied to bring values to nodes, by graph and node.", "graph", "node"); err != nil {
		return nil, err
	}
	if m.cache, err = m.Counter("tandem_cache_lookups_total", "Looks into the caches of nodes, by graph, node and outcome.", "graph", "node", "outcome"); err != nil {
		return nil, err
	}
	if m.shadow, err = m.Counter("tandem_shadows_total", "Requests with a shadow, by graph and what became of it.", "graph", "outcome"); err != nil {
		return nil, err
	}
	m.releases, err = newReleases(m)
	return m, err
}

// Handler answers scrapes in Prometheus' and OpenMetrics' formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{Registry: m.reg, MaxRequestsInFlight: 4, EnableOpenMetrics: true})
}

// Call counts one finished call; code is "ok" or the name of the error code.
func (m *Metrics) Call(procedure, code string, took time.Duration) {
	m.calls.Observe(took.Seconds(), procedure, code)
}

// Node counts one finished run of a node; outcome is "ok", "skipped" or what went wrong, in a few fixed words. copied is
// how many bytes were copied to bring it its inputs.
func (m *Metrics) Node(graph, node, outcome string, took time.Duration, copied int64) {
	m.nodes.Observe(took.Seconds(), graph, node, outcome)
	m.copied.Add(float64(copied), graph, node)
}

// Cache counts one look into a node's cache: "hit", "miss" or "shared".
func (m *Metrics) Cache(graph, node, outcome string) { m.cache.Add(1, graph, node, outcome) }

// Shadow counts one request's shadow: "done", "failed", "dropped" or "cut".
func (m *Metrics) Shadow(graph, outcome string) { m.shadow.Add(1, graph, outcome) }

// Counter only goes up.
type Counter struct {
	vec    *prometheus.CounterVec
	series *series
}

// Counter registers a counter with the given label names. The name ends in _total.
func (m *Metrics) Counter(name, help string, labels ...string) (*Counter, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	if err := m.reg.Register(vec); err != nil {
		return nil, fmt.Errorf("register %s: %w", name, err)
	}
	return &Counter{vec: vec, series: newSeries(m.maxSeries, len(labels))}, nil
}

// Add adds n, which is not negative, to the series with the given label values, in the order of the label names. With
// another number of values than names nothing is counted.
func (c *Counter) Add(n float64, values ...string) {
	if one, err := c.vec.GetMetricWithLabelValues(c.series.bound(values)...); err == nil && n >= 0 {
		one.Add(n)
	}
}

// Histogram counts durations in seconds, from 100 us to 1 min.
type Histogram struct {
	vec    *prometheus.HistogramVec
	series *series
}

// Histogram registers a histogram of seconds with the given label names. The name ends in _seconds.
func (m *Metrics) Histogram(name, help string, labels ...string) (*Histogram, error) {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets: []float64{
			.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
		},
	}, labels)
	if err := m.reg.Register(vec); err != nil {
		return nil, fmt.Errorf("register %s: %w", name, err)
	}
	return &Histogram{vec: vec, series: newSeries(m.maxSeries, len(labels))}, nil
}

// Observe counts one duration in seconds in the series with the given label values, in the order of the label names. With
// another number of values than names nothing is counted.
func (h *Histogram) Observe(seconds float64, values ...string) {
	if one, err := h.vec.GetMetricWithLabelValues(h.series.bound(values)...); err == nil {
		one.Observe(seconds)
	}
}

// Gauge registers a value that is read whenever somebody scrapes; read must be quick and may be called concurrently.
func (m *Metrics) Gauge(name, help string, read func() float64) error {
	err := m.reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	if err != nil {
		return fmt.Errorf("register %s: %w", name, err)
	}
	return nil
}

// drop removes all series whose label values begin with the given ones, which are as many as the first label names.
func (h *Histogram) drop(labels prometheus.Labels, values ...string) {
	h.series.drop(values)
	h.vec.DeletePartialMatch(labels)
}

// series keeps the number of label combinations of one metric within a bound.
type series struct {
	limit int
	other []string

	mu   sync.Mutex // guards the following
	seen map[string]struct{}
}

func newSeries(limit, labels int) *series {
	other := make([]string, labels)
	for i := range other {
		other[i] = "other"
	}
	return &series{limit: limit, other: other, seen: map[string]struct{}{}}
}

// bound returns values while there is room for their combination, else "other" for each; a wrong number of values comes
// back as it is.
func (s *series) bound(values []string) []string {
	if len(values) != len(s.other) {
		return values
	}
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = strings.ToValidUTF8(v, "?")
	}
	key := strings.Join(clean, "\x00")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[key]; ok {
		return clean
	}
	if len(s.seen) >= s.limit {
		return s.other
	}
	s.seen[key] = struct{}{}
	return clean
}

// drop makes room for as many combinations as begin with values.
func (s *series) drop(values []string) {
	prefix := strings.Join(values, "\x00") + "\x00"
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.seen, func(key string, _ struct{}) bool { return strings.HasPrefix(key, prefix) })
}
