package sandbox

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p pace
	p.slice(quantum, longSlice/2)
	if q := p.quantum(); q != quantum {
		t.Errorf("slices in time: got %d, want %d", q, uint64(quantum))
	}
	p.slice(quantum, 100*longSlice)
	if q := p.quantum(); q != quantum/200 {
		t.Errorf("a slice of 100 times too long: got %d, want %d", q, quantum/200)
	}
	p.slice(p.quantum(), time.Second)
	if q := p.quantum(); q != minQuantum {
		t.Errorf("a slice of a second: got %d, want %d", q, minQuantum)
	}
	spent := uint64(0)
	for p.quantum() < quantum {
		spent += p.quantum()
		p.slice(p.quantum(), longSlice/2)
	}
	if spent < 32*quantum || spent > 100*quantum {
		t.Errorf("got %d until slices are whole again, want about %d", spent, 64*quantum)
	}
	p.slice(quantum, 100*longSlice)
	q := p.quantum()
	p.slice(100*quantum, 0)
	if got := p.quantum(); got != q+q/64 {
		t.Errorf("a bulk operation: got %d, want %d", got, q+q/64)
	}
	p.slice(0, time.Second) // a guest that did nothing but wait for a core
	if q := p.quantum(); q != minQuantum {
		t.Errorf("got %d, want %d", q, minQuantum)
	}
}
