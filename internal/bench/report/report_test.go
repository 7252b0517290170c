package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sample() *Report {
	r := &Report{
		Suite: "s", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Commit: "abc",
		Machine: Machine{CPU: "Z80", Cores: 1, MemoryBytes: 1 << 30, OS: "linux/amd64", Go: "go1"},
	}
	r.Add("plain", 12345.6, "bytes")
	r.AtMost("fast", 0.123456, "ms", 0.5)
	r.AtMost("edge", 2, "ms", 2)
	r.AtLeast("many", 9, "calls/s", 10)
	return r
}

func TestTable(t *testing.T) {
	want := `Z80, 1 cores, 1.0 GiB, linux/amd64, go1, commit abc
figure  value   unit     target  met
plain   12346   bytes            
fast    0.1235  ms       <= 0.5  yes
edge    2       ms       <= 2    yes
many    9       calls/s  >= 10   MISSED
`
	var got strings.Builder
	if err := sample().Table(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := sample().Missed(); got != 1 {
		t.Errorf("got %d missed, want 1", got)
	}
}

func TestWrite(t *testing.T) {
	want := `{
  "suite": "s",
  "started": "2026-01-02T03:04:05Z",
  "commit": "abc",
  "machine": {
    "cpu": "Z80",
    "cores": 1,
    "memory_bytes": 1073741824,
    "os": "linux/amd64",
    "go": "go1"
  },
  "results": [
    {
      "name": "plain",
      "value": 12345.6,
      "unit": "bytes",
      "target": null,
      "met": null
    },
    {
      "name": "many",
      "value": 9,
      "unit": "calls/s",
      "target": 10,
      "at_least": true,
      "met": false
    }
  ]
}
`
	r := sample()
	r.Results = []Result{r.Results[0], r.Results[3]}
	dir := filepath.Join(t.TempDir(), "deep", "er")
	name, err := r.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" || name != filepath.Join(dir, "s.json") {
		t.Errorf("%s, -want +got:\n%s", name, diff)
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if m.Cores < 1 || m.Go == "" || m.OS == "" {
		t.Errorf("got %+v", m)
	}
	if r := New(t.Context(), "x"); r.Suite != "x" || r.Started.IsZero() || r.Results == nil {
		t.Errorf("got %+v", r)
	}
}
