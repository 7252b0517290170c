package server

import (
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/telemetry"
)

// sandboxGauges registers the fills of what the plugin host bounds.
func sandboxGauges(m *telemetry.Metrics, h *sandbox.Host) error {
	for _, g := range []struct {
		name, help string
		read       func(sandbox.Stats) int64
	}{
		{"tandem_plugin_instances", "Instances of plugins, running and idle.", func(s sandbox.Stats) int64 { return int64(s.Instances) }},
		{"tandem_plugin_instances_idle", "Instances of plugins that lie idle.", func(s sandbox.Stats) int64 { return int64(s.Idle) }},
		{"tandem_plugin_calls_waiting", "Calls of plugins that wait for an instance.", func(s sandbox.Stats) int64 { return int64(s.Waiting) }},
		{"tandem_plugin_calls_running", "Calls of plugins that have a core.", func(s sandbox.Stats) int64 { return int64(s.Running) }},
		{"tandem_plugin_calls_queued", "Calls of plugins that have an instance and wait for a core.", func(s sandbox.Stats) int64 { return int64(s.Queued) }},
		{"tandem_plugin_memory_bytes", "What running plugins have grown to beyond what they started with.", func(s sandbox.Stats) int64 { return s.GuestBytes }},
	} {
		if err := m.Gauge(g.name, g.help, func() float64 { return float64(g.read(h.Stats())) }); err != nil {
			return err
		}
	}
	return nil
}
