package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

func TestRun(t *testing.T) {
	all := []report.Suite{
		{Name: "good", Doc: "meets its target", Run: func(_ context.Context, r *report.Report) error {
			r.AtMost("call p99", 3.5, "ms", 5)
			return nil
		}},
		{Name: "slow", Doc: "misses it", Run: func(_ context.Context, r *report.Report) error {
			r.AtLeast("throughput", 90, "calls/s", 100)
			return nil
		}},
		{Name: "bad", Doc: "fails", Run: func(context.Context, *report.Report) error { return errors.New("no server") }},
	}
	for _, tc := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"-suite", "good"}, 0, "call p99  3.5    ms    <= 5    yes", ""},
		{[]string{"-suite", "slow"}, 0, ">= 100  MISSED", ""},
		{[]string{"-suite", "slow", "-strict"}, 1, ">= 100  MISSED", ""},
		{[]string{"-suite", "bad"}, 1, "", "bench: suite bad: no server"},
		{[]string{"-suite", "none"}, 2, "", `no suite "none", only good, slow, bad`},
		{[]string{"stray"}, 2, "", `only good, slow, bad`},
		{[]string{"-list"}, 0, "slow\tmisses it", ""},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			var stdout, stderr strings.Builder
			dir := t.TempDir()
			code := run(t.Context(), all, append([]string{"-out", dir}, tc.args...), &stdout, &stderr)
			if code != tc.code || !strings.Contains(stderr.String(), tc.stderr) || !strings.Contains(stdout.String(), tc.stdout) {
				t.Errorf("got code %d, stderr %q, stdout %q, want %d, %q, %q", code, stderr.String(), stdout.String(), tc.code, tc.stderr, tc.stdout)
			}
			if tc.args[len(tc.args)-1] == "good" {
				checkFile(t, filepath.Join(dir, "good.json"))
			}
		})
	}
}

func checkFile(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Suite   string
		Results []struct {
			Name, Unit    string
			Value, Target float64
			Met           bool
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Suite != "good" || len(got.Results) != 1 || got.Results[0].Value != 3.5 || got.Results[0].Target != 5 || !got.Results[0].Met {
		t.Errorf("got %+v", got)
	}
}
