package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// show calls the graphs and prints what they say.
type show struct {
	out    io.Writer
	root   string
	client *client.Client
	err    error // the first failed write
}

func (s *show) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.out, format, args...); err != nil && s.err == nil {
		s.err = err
	}
}

// images reads every image in examples/images.
func (s *show) images(ctx context.Context) error {
	s.printf("\n%s: an image goes in; its lines, their text and the text's sentiment come out\n", rig.GraphOCR)
	files, err := filepath.Glob(filepath.Join(s.root, "examples", "images", "*.*"))
	if err != nil {
		return err
	}
	var traces []*tandemv1.Trace
	for _, file := range files {
		if filepath.Ext(file) == ".json" || filepath.Ext(file) == ".md" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		res, err := s.client.Infer(ctx, rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(data)}, client.WithTrace())
		if err != nil {
			return fmt.Errorf("%s: %s", filepath.Base(file), client.Message(err))
		}
		traces = append(traces, res.GetTrace())
		text := res.GetOutputs()["text"].GetText()
		s.printf("\n  %-26s %4d ms  %s\n", filepath.Base(file), res.GetTrace().GetTotal().AsDuration().Milliseconds(), sentiment(res, text))
		if text != "" {
			s.printf("    | %s\n", strings.ReplaceAll(text, "\n", "\n    | "))
		}
	}
	return s.timing(traces)
}

func sentiment(res *tandemv1.InferResponse, text string) string {
	if text == "" {
		return "an empty page"
	}
	return fmt.Sprintf("%s %.2f", res.GetOutputs()["label"].GetText(), scalar(res.GetOutputs()["score"]))
}

// shownTexts is how many of the example texts are shown.
const shownTexts = 12

// texts sends texts to both sentiment models side by side.
func (s *show) texts(ctx context.Context) error {
	s.printf("\n%s: one text, two models in parallel, and how far they agree\n\n", rig.GraphSideBySide)
	texts, err := exampleTexts(filepath.Join(s.root, "examples", "texts", "texts.jsonl"), shownTexts)
	if err != nil {
		return err
	}
	var traces []*tandemv1.Trace
	t := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	s.row(t, "  A", "B", "AGREE", "DIFFERENCE", "TEXT")
	for _, text := range texts {
		res, err := s.client.Infer(ctx, rig.GraphSideBySide, map[string]*tandemv1.Value{"text": client.Text(text)}, client.WithTrace())
		if err != nil {
			return fmt.Errorf("%q: %s", text, client.Message(err))
		}
		traces = append(traces, res.GetTrace())
		o := res.GetOutputs()
		s.row(t, fmt.Sprintf("  %s %.2f", o["label_a"].GetText(), scalar(o["score_a"])),
			fmt.Sprintf("%s %.2f", o["label_b"].GetText(), scalar(o["score_b"])),
			fmt.Sprint(flag(o["agree"])), fmt.Sprintf("%.3f", scalar(o["difference"])), cut(text, 60))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return s.timing(traces)
}

func (s *show) row(t *tabwriter.Writer, cells ...string) {
	if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil && s.err == nil {
		s.err = err
	}
}

// records lists the comparisons that the second graph kept.
func (s *show) records(ctx context.Context) error {
	res, err := s.client.Records.ListRecords(ctx, &tandemv1.ListRecordsRequest{Graph: rig.GraphSideBySide, PageSize: 3})
	if err != nil {
		return err
	}
	s.printf("\nThe last comparisons that were kept (tandem records list):\n\n")
	for _, r := range res.GetRecords() {
		s.printf("  %s  %s  %s\n", r.GetCreateTime().AsTime().Local().Format(time.TimeOnly), r.GetStream(), cut(r.GetJson(), 140))
	}
	return nil
}

// timing prints what each node took, over all requests.
func (s *show) timing(traces []*tandemv1.Trace) error {
	type sum struct {
		target      string
		runs, items int
		ran, total  time.Duration
		slowest     time.Duration
		copied      int64
	}
	var order []string
	sums := map[string]*sum{}
	for _, tr := range traces {
		for _, n := range tr.GetNodes() {
			x := sums[n.GetNode()]
			if x == nil {
				x = &sum{target: n.GetTarget()}
				sums[n.GetNode()] = x
				order = append(order, n.GetNode())
			}
			x.runs++
			x.items += int(n.GetItems())
			x.ran += n.GetRan().AsDuration()
			x.total += n.GetTotal().AsDuration()
			x.slowest = max(x.slowest, n.GetTotal().AsDuration())
			x.copied += n.GetBytesCopied()
		}
	}
	s.printf("\n")
	t := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	s.row(t, "  NODE", "RUNS", "REQUESTS", "ITEMS", "MEAN", "SLOWEST", "COPIED/REQUEST")
	for _, name := range order {
		x := sums[name]
		s.row(t, "  "+name, x.target, fmt.Sprint(x.runs), fmt.Sprint(x.items), millis(x.total/time.Duration(x.runs)), millis(x.slowest),
			fmt.Sprintf("%.1f kB", float64(x.copied)/float64(x.runs)/1000))
	}
	return t.Flush()
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

// exampleTexts reads the first n texts that are not empty.
func exampleTexts(path string, n int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var texts []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && len(texts) < n {
		var t struct{ Text string }
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if t.Text != "" && !slices.Contains(texts, t.Text) {
			texts = append(texts, t.Text)
		}
	}
	return texts, lines.Err()
}

func cut(s string, n int) string {
	r := []rune(strings.ReplaceAll(s, "\n", " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
