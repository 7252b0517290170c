// Package report holds what a benchmark suite measured and how it is shown: a table for people, JSON for tools. It has no
// goroutines; a Report is used from one goroutine at a time.
package report

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"
)

// Suite is a set of measurements that belong together.
type Suite struct {
	// Name is what `make bench SUITE=` takes and what the report's file is called.
	Name string
	// Doc is one line that says what is measured.
	Doc string
	// Run measures and adds its figures to r. A measurement that cannot be made is an error; a missed target is none.
	Run func(ctx context.Context, r *Report) error
	// Page, when set, writes the tables of the suite's page in docs/perf in Markdown.
	Page func(r *Report, w io.Writer) error
	// OnRequest keeps the suite out of a run of all suites: only -suite runs it.
	OnRequest bool
}

// Report is what one run of a suite measured. Its JSON form is the file below out/bench.
type Report struct {
	Suite   string    `json:"suite"`
	Started time.Time `json:"started"`
	Commit  string    `json:"commit"` // "" outside of git; ends in "+changes" when files were changed since
	Machine Machine   `json:"machine"`
	// Quick asks the suite to measure as briefly as it can; such figures are for trying the suite out.
	Quick   bool     `json:"quick,omitempty"`
	Results []Result `json:"results"`
	// Notes say what figures do not, one line each.
	Notes []string `json:"notes,omitempty"`
}

// Result is one figure.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Target is what Value should be at most or, when AtLeast, at least; nil without a target.
	Target  *float64 `json:"target"`
	AtLeast bool     `json:"at_least,omitempty"`
	// Met says whether Value keeps Target; nil without a target.
	Met *bool `json:"met"`
}

// New returns an empty report of suite, with this machine and the commit of the working folder.
func New(ctx context.Context, suite string) *Report {
	return &Report{Suite: suite, Started: time.Now().UTC().Truncate(time.Second), Commit: commit(ctx), Machine: ThisMachine(), Results: []Result{}}
}

// Note adds a line.
func (r *Report) Note(line string) { r.Notes = append(r.Notes, line) }

// Add adds a figure without a target. unit is for example "ms", "calls/s" or "bytes".
func (r *Report) Add(name string, value float64, unit string) {
	r.Results = append(r.Results, Result{Name: name, Value: value, Unit: unit})
}

// AtMost adds a figure that should not be above target.
func (r *Report) AtMost(name string, value float64, unit string, target float64) {
	met := value <= target
	r.Results = append(r.Results, Result{Name: name, Value: value, Unit: unit, Target: &target, Met: &met})
}

// AtLeast adds a figure that should not be below target.
func (r *Report) AtLeast(name string, value float64, unit string, target float64) {
	met := value >= target
	r.Results = append(r.Results, Result{Name: name, Value: value, Unit: unit, Target: &target, AtLeast: true, Met: &met})
}

// Missed returns how many figures missed their target.
func (r *Report) Missed() int {
	n := 0
	for _, res := range r.Results {
		if res.Met != nil && !*res.Met {
			n++
		}
	}
	return n
}

// Table writes r for people.
func (r *Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "%s, commit %s\n", r.Machine, or(r.Commit, "unknown"))
	for _, line := range r.Notes {
		fmt.Fprintln(w, line)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "figure\tvalue\tunit\ttarget\tmet")
	for _, res := range r.Results {
		target, met := "", ""
		if res.Target != nil {
			sign := "<="
			if res.AtLeast {
				sign = ">="
			}
			target = sign + " " + Number(*res.Target)
		}
		if res.Met != nil {
			met = map[bool]string{true: "yes", false: "MISSED"}[*res.Met]
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", res.Name, Number(res.Value), res.Unit, target, met)
	}
	return tw.Flush()
}

// Write writes r as JSON into the folder dir, which it makes when it has to, and returns the file's name.
func (r *Report) Write(dir string) (string, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("report of %s: %w", r.Suite, err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	name := filepath.Join(dir, r.Suite+".json")
	return name, os.WriteFile(name, append(data, '\n'), 0o600)
}

// Read reads the report of suite that Write wrote into the folder dir.
func Read(dir, suite string) (*Report, error) {
	data, err := os.ReadFile(filepath.Join(dir, suite+".json"))
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("report of %s: %w", suite, err)
	}
	return r, nil
}

// Number shows four significant digits, and whole numbers whole.
func Number(v float64) string {
	if v >= 1000 || v <= -1000 || v == float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
