package telemetry

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tandem-serve/tandem/host/tenant"
)

// maxReleases is how many releases of one graph have series: those called last. Publishing often would fill the metric
// with releases that nobody calls any more.
const maxReleases = 8

// releases counts finished requests by the release that answered.
type releases struct {
	runs *Histogram

	mu     sync.Mutex // guards the following
	recent map[graphKey][]int
}

type graphKey struct {
	tenant tenant.ID
	graph  string
}

func newReleases(m *Metrics) (*releases, error) {
	h, err := m.Histogram("tandem_release_seconds", "Time that finished requests took, by tenant, graph, release and outcome.",
		"tenant", "graph", "release", "outcome")
	return &releases{runs: h, recent: map[graphKey][]int{}}, err
}

// Run counts one finished request of a graph by the release that answered; outcome is "ok" or what went wrong, in a few
// fixed words. Of each graph the releases called last have series.
func (m *Metrics) Run(t tenant.ID, graph string, version int, outcome string, took time.Duration) {
	m.releases.note(graphKey{t, graph}, version)
	m.releases.runs.Observe(took.Seconds(), string(t), graph, strconv.Itoa(version), outcome)
}

// note keeps count of the releases that have series, the one called last at the end.
func (r *releases) note(g graphKey, version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	recent, known := r.recent[g]
	if !known && len(r.recent) >= r.runs.series.limit {
		return // its series is "other" anyway
	}
	if n := len(recent); n > 0 && recent[n-1] == version {
		return
	}
	i := slices.Index(recent, version)
	if i >= 0 {
		recent = slices.Delete(recent, i, i+1)
	} else if len(recent) == maxReleases {
		gone := strconv.Itoa(recent[0])
		recent = slices.Delete(recent, 0, 1)
		r.runs.drop(prometheus.Labels{"tenant": string(g.tenant), "graph": g.graph, "release": gone}, string(g.tenant), g.graph, gone)
	}
	r.recent[g] = append(recent, version)
}
