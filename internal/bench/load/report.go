package load

import (
	"time"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

// Report adds the usual figures of res to r, each name after prefix: calls per second and the median, 99th and 99.9th
// percentile in milliseconds.
func (r *Result) Report(to *report.Report, prefix string) {
	to.Add(prefix+" throughput", r.PerSecond(), "calls/s")
	to.Add(prefix+" p50", Milliseconds(r.Latency.Quantile(.5)), "ms")
	to.Add(prefix+" p99", Milliseconds(r.Latency.Quantile(.99)), "ms")
	to.Add(prefix+" p99.9", Milliseconds(r.Latency.Quantile(.999)), "ms")
}

// Milliseconds returns d as a number of milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
