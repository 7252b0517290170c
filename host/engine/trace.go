package engine

import "time"

// Trace says what happened in one request. Durations count from its start unless they say otherwise.
type Trace struct {
	Total time.Duration
	// Nodes stand in the order in which they started; nodes that did not run are left out.
	Nodes []NodeTrace
}

// NodeTrace is one node in one request.
type NodeTrace struct {
	Node   string
	Target string
	// Start is when its inputs were there.
	Start time.Duration
	// Waited is the time in queues, for instances and in conversions, Ran that in the plugin or model itself; both added up
	// over the items of a mapped node. Total is from Start to its last output.
	Waited time.Duration
	Ran    time.Duration
	Total  time.Duration
	// Mapped tells a node that ran once for every item; Items says how many.
	Mapped bool
	Items  int
	// Copied counts the bytes copied to bring inputs in and outputs out.
	Copied int64
	// Fuel is the work of plugins, in units of about one instruction.
	Fuel uint64
	// Rows is the most rows that an item gave to a model; 0 for plugins.
	Rows int
	// Queued is the part of Waited that was spent in the model's queue, added up over the items.
	Queued time.Duration
	// BatchRows and BatchRequests are the size of the largest run that an item was in, others' rows included, and BatchClosed
	// is why that run was closed, in a word; 0 and "" for what runs no model.
	BatchRows     int
	BatchRequests int
	BatchClosed   string
	// Skipped tells a node that had no reason to run: its condition was false, a split chose another, or what it reads was
	// skipped.
	Skipped bool
	// Cached is how many answers came from the node's cache instead of a run.
	Cached int
	// Budget is how long the node might take, counted from Start; 0 when it did not run.
	Budget time.Duration
	// Err is the text of the error that ended the node, or "".
	Err string
}

// add takes the figures of one item.
func (t *NodeTrace) add(s stats) {
	t.Waited += s.waited
	t.Ran += s.ran
	t.Copied += s.copied
	t.Fuel += s.fuel
	t.Rows = max(t.Rows, s.rows)
	t.Cached += s.cached
	t.Queued += s.queued
	if s.batchRows > t.BatchRows || t.BatchClosed == "" {
		t.BatchRows, t.BatchRequests, t.BatchClosed = s.batchRows, s.batchRequests, s.batchClosed
	}
}

// called takes the figures of a model that the target ran itself: it waited for it, which its own time holds already.
func (s *stats) called(m stats) {
	s.queued += m.queued
	s.copied += m.copied
	s.rows = max(s.rows, m.rows)
	if m.batchRows > s.batchRows || s.batchClosed == "" {
		s.batchRows, s.batchRequests, s.batchClosed = m.batchRows, m.batchRequests, m.batchClosed
	}
}

// stats are the figures of one run of a target.
type stats struct {
	waited time.Duration
	ran    time.Duration
	copied int64
	fuel   uint64
	rows   int
	cached int

	queued        time.Duration
	batchRows     int
	batchRequests int
	batchClosed   string
}
