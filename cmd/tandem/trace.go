package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// printTrace prints the nodes as a waterfall: a row each, with a bar that shows when it waited and when it ran.
func printTrace(e *env, release string, tr *tandemv1.Trace) error {
	total := tr.GetTotal().AsDuration()
	if err := e.say("\n"); err != nil {
		return err
	}
	t := e.table("NODE", "RUNS", "START", "QUEUED", "WAITED", "RAN", "TOTAL", "ITEMS", "BATCH", "COPIED", "")
	copied := int64(0)
	for _, n := range tr.GetNodes() {
		copied += n.GetBytesCopied()
		t.row(n.GetNode(), n.GetTarget(), millis(n.GetStart()), millis(n.GetQueued()), millis(n.GetWaited()), millis(n.GetRan()),
			millis(n.GetTotal()), itemsText(n), batchText(n), humanize.IBytes(uint64(max(n.GetBytesCopied(), 0))), waterfall(n, total))
	}
	if err := t.flush(); err != nil {
		return err
	}
	return e.say("total %s by %s, %s copied; in the bars . is waiting and # is running\n", millis(tr.GetTotal()), release, humanize.IBytes(uint64(max(copied, 0))))
}

// itemsText says how many items a mapped node had, and what else became of the node than a run.
func itemsText(n *tandemv1.NodeTrace) string {
	var parts []string
	if n.GetItems() > 0 {
		parts = append(parts, fmt.Sprint(n.GetItems()))
	}
	switch {
	case n.GetSkipped():
		parts = append(parts, "skipped")
	case n.GetError() != "":
		parts = append(parts, "failed")
	case n.GetCached() > 0 && n.GetItems() > 0:
		parts = append(parts, fmt.Sprintf("(%d cached)", n.GetCached()))
	case n.GetCached() > 0:
		parts = append(parts, "cached")
	}
	return strings.Join(parts, " ")
}

// batchText says how large the model's run was and why it was closed, as "8 full" for the rows of this request alone or
// "8/3 full" for those of three requests.
func batchText(n *tandemv1.NodeTrace) string {
	switch {
	case n.GetBatchClosed() == "":
		return ""
	case n.GetBatchRequests() > 1:
		return fmt.Sprintf("%d/%d %s", n.GetBatchRows(), n.GetBatchRequests(), n.GetBatchClosed())
	}
	return fmt.Sprintf("%d %s", n.GetBatchRows(), n.GetBatchClosed())
}

// waterfall draws when a node waited and ran within the whole request. Of a mapped node, whose items overlap, the bar shows
// the shares.
func waterfall(n *tandemv1.NodeTrace, total time.Duration) string {
	const width = 40
	if total <= 0 {
		return ""
	}
	start, took := n.GetStart().AsDuration(), n.GetTotal().AsDuration()
	from := min(int(start*width/total), width-1)
	length := max(1, min(int((took*width+total-1)/total), width-from))
	waited, ran := n.GetWaited().AsDuration(), n.GetRan().AsDuration()
	waits := 0
	if waited+ran > 0 {
		waits = min(int(waited*time.Duration(length)/(waited+ran)), length)
	}
	return "|" + strings.Repeat(" ", from) + strings.Repeat(".", waits) + strings.Repeat("#", length-waits) +
		strings.Repeat(" ", width-from-length) + "|"
}
