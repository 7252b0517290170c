package worker

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// PID returns the process that the model is loaded in.
func (m *Model) PID() int { return m.at.Load().p.pid() }

// Running returns how many slots of the model's process are in use.
func (m *Model) Running() int { return len(m.at.Load().p.tokens) }

// Hold takes a slot of the model's process, as a run does, and returns what gives it back.
func (m *Model) Hold(ctx context.Context) (release func(), err error) {
	s, err := m.at.Load().p.acquire(ctx, m)
	if err != nil {
		return nil, err
	}
	return s.release, nil
}

// ResidentNow returns the private memory of the model's process, in bytes.
func (m *Model) ResidentNow(tb testing.TB) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.PID()))
	if err != nil {
		tb.Fatal(err)
	}
	var size, all, shared int64
	if _, err := fmt.Sscan(string(text), &size, &all, &shared); err != nil {
		tb.Fatal(err)
	}
	return (all - shared) * int64(os.Getpagesize())
}

// Forbearances returns how long runs may go on before their worker is ended, one after another, and at last after a quiet time.
func Forbearances(t *testing.T, n int, c Config) (got []time.Duration) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		g := &group{pool: &Pool{config: c}}
		for range n {
			got = append(got, g.forbearance())
			g.overran()
		}
		time.Sleep(calm + 1)
		got = append(got, g.forbearance())
	})
	return got
}
