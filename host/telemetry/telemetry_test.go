package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewLogger(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  LogConfig
		want string
	}{
		{"json elsewhere", LogConfig{}, `{"level":"INFO","msg":"hello","graph":"g"}`},
		{"text", LogConfig{Format: "text"}, `level=INFO msg=hello graph=g`},
		{"level", LogConfig{Level: slog.LevelWarn}, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var buf bytes.Buffer
			NewLogger(&buf, tc.cfg).InfoContext(t.Context(), "hello", slog.String("graph", "g"))
			got := strings.TrimSpace(buf.String())
			if strings.HasPrefix(got, "{") {
				var m map[string]any
				if err := json.Unmarshal(buf.Bytes(), &m); err != nil {
					t.Fatal(err)
				}
				got = fmt.Sprintf(`{"level":%q,"msg":%q,"graph":%q}`, m["level"], m["msg"], m["graph"])
			} else if _, rest, ok := strings.Cut(got, " "); ok {
				got = rest // without the time
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestMetrics(t *testing.T) {
	m, err := New(Config{Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	m.Call("/tandem.v1.InferenceService/Infer", "ok", 3*time.Millisecond)
	m.Node("ocr", "detect", "ok", 30*time.Millisecond, 4096)
	m.Node("ocr", "detect", "ok", 30*time.Millisecond, 0)
	if err := m.Gauge("tandem_queue_rows", "Rows that wait.", func() float64 { return 7 }); err != nil {
		t.Fatal(err)
	}
	got := scrape(t, m)
	for _, want := range []string{
		`tandem_build_info{version="1.2.3"} 1`,
		`tandem_call_seconds_count{code="ok",procedure="/tandem.v1.InferenceService/Infer"} 1`,
		`tandem_node_seconds_bucket{graph="ocr",node="detect",outcome="ok",le="0.05"} 2`,
		`tandem_edge_copied_bytes_total{graph="ocr",node="detect"} 4096`,
		`tandem_queue_rows 7`,
		`go_goroutines `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in:\n%s", want, got)
		}
	}
	if _, err := m.Counter("tandem_call_seconds", "again"); err == nil {
		t.Error("a second metric of the same name: got no error")
	}
}

// TestReleaseSeries publishes often: the releases called last have series, however many there were.
func TestReleaseSeries(t *testing.T) {
	m, err := New(Config{MaxSeries: 50})
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= 200; version++ {
		m.Run("acme", "g", version, "ok", time.Millisecond)
		m.Run("acme", "g", version, "model", time.Millisecond)
		m.Run("acme", "g", 1, "ok", time.Millisecond)       // is called all the time
		m.Run("zeta", "g", version, "ok", time.Millisecond) // another tenant's graph of that name
	}
	got := scrape(t, m)
	for _, want := range []string{
		`tandem_release_seconds_count{graph="g",outcome="ok",release="1",tenant="acme"} 201`,
		`tandem_release_seconds_count{graph="g",outcome="model",release="200",tenant="acme"} 1`,
		`tandem_release_seconds_count{graph="g",outcome="ok",release="193",tenant="zeta"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "tandem_release_seconds_count{"); n != 16+8 || strings.Contains(got, `release="other"`) {
		t.Errorf("got %d series, want those of 8 releases of each graph", n)
	}
}

// TestSeriesBound has more combinations than there is room for, from many goroutines, and labels that are no UTF-8.
func TestSeriesBound(t *testing.T) {
	m, err := New(Config{MaxSeries: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Counter("tandem_test_total", "For this test.", "name")
	if err != nil {
		t.Fatal(err)
	}
	c.Add(1, "a")
	c.Add(1, "b\xff")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				c.Add(1, fmt.Sprint("many", i))
			}
		})
	}
	wg.Wait()
	c.Add(1)       // too few labels
	c.Add(-5, "a") // down
	got := scrape(t, m)
	for _, want := range []string{`tandem_test_total{name="a"} 1`, `tandem_test_total{name="b?"} 1`, `tandem_test_total{name="other"} 800`} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in:\n%s", want, got)
		}
	}
}
