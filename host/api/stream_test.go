package api

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// TestSlowReadersAreCutOff: a reader of a stream that takes nothing does not hold the handler for ever; other calls have no
// such bound.
func TestSlowReadersAreCutOff(t *testing.T) {
	ended := make(chan error, 1)
	s := httptest.NewServer(bounded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for {
			if _, err := w.Write(chunk); err != nil {
				ended <- err
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				ended <- err
				return
			}
		}
	}), 50*time.Millisecond))
	defer s.Close()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST "+tandemv1connect.InferenceServiceInferStreamProcedure+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the handler ended without an error")
	}
}

func TestPatienceHasAnEnd(t *testing.T) {
	w := &patientWriter{patience: time.Minute, last: time.Now().Add(time.Second)}
	if left := time.Until(w.deadline()); left > time.Second {
		t.Errorf("%v are left, want no more than until the last moment", left)
	}
}

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
