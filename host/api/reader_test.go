package api

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

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

// deadlines is a connection that takes down the deadlines of its reads and writes, and the flushes.
type deadlines struct {
	http.ResponseWriter
	io.Reader
	reads, writes []time.Time
	flushes       int
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.reads = append(d.reads, t); return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.writes = append(d.writes, t); return nil }
func (d *deadlines) Flush()                             { d.flushes++ }
func (d *deadlines) Close() error                       { return nil }

// TestDeadlinesAreSetSeldom: each costs a message to the goroutine of an HTTP/2 connection. None is set later than an eighth of
// the patience after the last, and none lies beyond the end.
func TestDeadlinesAreSetSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		d := &deadlines{ResponseWriter: httptest.NewRecorder()}
		d.Reader = io.LimitReader(spacesReader{}, 100)
		w := &patientWriter{ResponseWriter: d, call: &call{}, control: http.NewResponseController(d), patience: 8 * time.Second, last: begin.Add(9 * time.Second)}
		c := &call{ReadCloser: d, control: http.NewResponseController(d), silence: 8 * time.Second, until: begin.Add(9 * time.Second), length: -1}
		for range 30 {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for name, set := range map[string][]time.Time{"writing": d.writes, "reading": d.reads} {
			if len(set) != 3 {
				t.Errorf("%s for three seconds set %d deadlines, want one in a bit more than a second", name, len(set))
			}
			if got := set[0].Sub(begin); got != 8*time.Second {
				t.Errorf("%s: the first deadline lies %v ahead, want 8s", name, got)
			}
			if got := set[len(set)-1].Sub(begin); got != 9*time.Second {
				t.Errorf("%s: the last deadline lies %v after the begin, want no more than the end, 9s", name, got)
			}
		}
	})
}

// spacesReader reads as spaces without end.
type spacesReader struct{}

func (spacesReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestOneMessageIsFlushedOnce: what asks for a flush between the message and the trailers does not get one, but for streams.
func TestOneMessageIsFlushedOnce(t *testing.T) {
	for path, want := range map[string]int{
		tandemv1connect.InferenceServiceInferProcedure:       0,
		tandemv1connect.InferenceServiceInferStreamProcedure: 1,
		"/grpc.health.v1.Health/Watch":                       1,
	} {
		d := &deadlines{ResponseWriter: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, path, nil)
		r.ProtoMajor = 2
		bounded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}), time.Minute).ServeHTTP(d, r)
		if d.flushes != want {
			t.Errorf("%s: %d flushes reached the connection, want %d", path, d.flushes, want)
		}
	}
}
