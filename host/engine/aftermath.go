package engine

import (
	"context"
	"sync"
)

// aftermath is what a request leaves to do when it has succeeded: records to keep and shadows to run. A graph inside the
// request has one of its own, whose content becomes the request's when the graph has succeeded.
type aftermath struct {
	mu      sync.Mutex // guards the following
	records []Record
	shadows []*run // whose critical path is done; they own memory
}

func (a *aftermath) record(rs []Record) {
	if len(rs) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, rs...)
}

func (a *aftermath) shadow(r *run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shadows = append(a.shadows, r)
}

// takeOver adds what inner holds.
func (a *aftermath) takeOver(inner *aftermath) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, inner.records...)
	a.shadows = append(a.shadows, inner.shadows...)
}

// abandon gives back what the shadows of a failed request hold. Nothing of the request runs any more.
func (a *aftermath) abandon() {
	for _, r := range a.shadows {
		r.abandonShadow()
	}
	a.shadows = nil
}

// keepRecords makes the records of a request that succeeded durable, before it is answered.
func (r *run) keepRecords(ctx context.Context) error {
	if len(r.after.records) == 0 {
		return nil
	}
	if err := r.eng.cfg.Records.Record(ctx, r.after.records); err != nil {
		e := classify(err)
		return &Error{Reason: e.Reason, Graph: r.rel.Name, Text: "the request's records could not be kept: " + e.Text, Err: err}
	}
	r.after.records = nil
	return nil
}
