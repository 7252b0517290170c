package api

import (
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/engine"
)

func TestEventQueueKeepsOrder(t *testing.T) {
	q := &eventQueue{changed: make(chan struct{}, 1)}
	go func() {
		for i := range 100 {
			q.add(engine.Event{At: time.Duration(i)})
		}
		q.close()
	}()
	next, more := time.Duration(0), true
	for more {
		var events []engine.Event
		events, more = q.take()
		for _, e := range events {
			if e.At != next {
				t.Fatalf("got %d, want %d", e.At, next)
			}
			next++
		}
	}
	if next != 100 {
		t.Errorf("%d events came, want 100", next)
	}
}
