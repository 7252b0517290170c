package e2e

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// shadowedGraph answers from one model and compares another with it in the shadow; the tokens come from a cache.
const shadowedGraph = `
graph: shadowed
inputs: {text: text}
outputs: {label: judge.label}
nodes:
  tokens:  {plugin: text, call: tokenise, in: {text: text}, cache: {ttl: 10m}}
  a:       {model: sentiment-a, in: {ids: tokens.ids}, priority: 3, timeout: 20s}
  judge:   {plugin: classify, call: top_label, in: {logits: a.logits}, with: {labels: [negative, positive]}}
  b:       {model: sentiment-b, in: {ids: tokens.ids, bigrams: tokens.bigrams}, shadow: true}
  compare: {plugin: compare, call: compare_labels, in: {a: a.logits, b: b.logits}, with: {labels: [negative, positive]}}
`

// TestShadowOnARealServer: the answer comes from the critical path alone; what the shadow found out is recorded soon after;
// the metrics tell of both, and of the cache.
func TestShadowOnARealServer(t *testing.T) {
	s := examples(t)
	if _, err := s.Client.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: shadowedGraph}); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for i := range 3 {
		res, err := s.Client.Infer(bounded(t), "shadowed", map[string]*tandemv1.Value{"text": client.Text("A wonderful film.")}, client.WithTrace())
		if err != nil {
			t.Fatal(err)
		}
		ids[res.GetRequestId()] = true
		for _, n := range res.GetTrace().GetNodes() {
			if n.GetNode() == "b" || n.GetNode() == "compare" {
				t.Errorf("the answer waited for %s", n.GetNode())
			}
			if n.GetNode() == "tokens" && n.GetCached() != int32(min(i, 1)) {
				t.Errorf("call %d: the trace says %d cached", i, n.GetCached())
			}
		}
		waitForRecord(t, s.Client, res.GetRequestId())
	}
	if len(ids) != 3 {
		t.Errorf("got request ids %v", ids)
	}
	for name, want := range map[string]int{
		`tandem_shadows_total{graph="shadowed",outcome="done"}`:                     3,
		`tandem_cache_lookups_total{graph="shadowed",node="tokens",outcome="hit"}`:  2,
		`tandem_cache_lookups_total{graph="shadowed",node="tokens",outcome="miss"}`: 1,
	} {
		if got := metric(t, s, name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

// TestInputsOfShadowsStay: large inputs that a shadow reads after the answer are not overwritten by the requests that follow, whose
// memory is that of earlier ones otherwise. The shadow reads its text three times, and what is written over it would be no text.
func TestInputsOfShadowsStay(t *testing.T) {
	const size, calls = 2 << 20, 20
	s := start(t, rig.Options{})
	pushFile(t, s.Client, "plugin", "values", "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	mustPublish(t, s.Client, "graph: plain\ninputs: {bytes: bytes}\noutputs: {bytes: {from: bytes}}\n")
	mustPublish(t, s.Client, `
graph: watched
inputs: {text: text, note: text}
outputs: {note: {from: note}}
nodes:
  once:  {plugin: values, call: copy, in: {text: text}, shadow: true}
  later: {plugin: values, call: copy, in: {text: text, bytes: once.text}}
  last:  {plugin: values, call: copy, in: {text: text, bytes: later.text}}
`)
	note, text := client.Text("n"), client.Text(strings.Repeat("x", size))
	noText := client.Bytes(bytes.Repeat([]byte{0xff}, size), "")
	for i := range calls {
		if _, err := s.Client.Infer(bounded(t), "watched", map[string]*tandemv1.Value{"text": text, "note": note}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client.Infer(bounded(t), "plain", map[string]*tandemv1.Value{"bytes": noText}); err != nil {
			t.Fatal(err)
		}
		waitForShadows(t, s, "watched", "done", i+1)
	}
}

// waitForShadows waits until so many shadows of a graph have ended, all with one outcome.
func waitForShadows(t *testing.T, s *rig.Server, graph, outcome string, want int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx := bounded(t)
	ended := func(outcome string) int {
		return metric(t, s, fmt.Sprintf(`tandem_shadows_total{graph=%q,outcome=%q}`, graph, outcome))
	}
	for ended(outcome) < want {
		for _, other := range []string{"done", "failed", "dropped", "cut"} {
			if n := ended(other); n > 0 && other != outcome {
				t.Fatalf("%d shadows of %s are %s, want %s", n, graph, other, outcome)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d shadows of %s are %s, want %d", ended(outcome), graph, outcome, want)
		}
	}
}

// waitForRecord waits until the record of a request is there.
func waitForRecord(t *testing.T, c *client.Client, request string) {
	t.Helper()
	ctx := bounded(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		res, err := c.Records.ListRecords(ctx, &tandemv1.ListRecordsRequest{Graph: "shadowed", PageSize: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.GetRecords() {
			if r.GetRequestId() == request && r.GetNode() == "compare" {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the shadow's record did not come")
		}
	}
}

// metric scrapes one series, -1 when it is not there.
func metric(t *testing.T, s *rig.Server, series string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\d+)$`).FindStringSubmatch(scrape(t, s))
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
