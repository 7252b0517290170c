package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
)

// TestSlowSenders opens bodies and sends them too slowly: the server stops reading, whether nothing comes or a byte now and
// then, and reads to the end who keeps within the bounds.
func TestSlowSenders(t *testing.T) {
	got := make(chan error, 1)
	s := httptest.NewServer(counted(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}), 200*time.Millisecond, time.Second))
	defer s.Close()
	for name, c := range map[string]struct {
		pause time.Duration
		bytes int
		slow  bool
	}{"silent": {time.Hour, 1, true}, "a drop now and then": {50 * time.Millisecond, 1000, true}, "in time": {10 * time.Millisecond, 5, false}} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		go func() {
			defer conn.Close()
			for range c.bytes {
				select {
				case <-time.After(c.pause):
				case <-stop:
					return
				}
				if _, err := io.WriteString(conn, "1\r\nx\r\n"); err != nil {
					return
				}
			}
			if _, err := io.WriteString(conn, "0\r\n\r\n"); err != nil {
				return
			}
			<-stop
		}()
		select {
		case err := <-got:
			if (err != nil) != c.slow {
				t.Errorf("%s: the body ended with %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the server still reads", name)
		}
		close(stop)
	}
}

// TestAnswerIsReleasedOnce: what an answer stands in is given back when the handler has returned, however it ended.
func TestAnswerIsReleasedOnce(t *testing.T) {
	for name, next := range map[string]connect.ServerFunc{
		"answered": func(context.Context, connect.Spec, connect.ServerStream) error { return nil },
		"failed":   func(context.Context, connect.Spec, connect.ServerStream) error { return io.ErrUnexpectedEOF },
		"panicked": func(context.Context, connect.Spec, connect.ServerStream) error { panic("boom") },
	} {
		released := 0
		c := &call{}
		_ = protect(func() error { // what becomes of the error is not looked at here
			return c.handle(t.Context(), connect.Spec{}, nil, func(ctx context.Context, spec connect.Spec, s connect.ServerStream) error {
				c.answered = func() { released++ }
				defer func() {
					if released != 0 {
						t.Errorf("%s: released before the handler returned", name)
					}
				}()
				return next(ctx, spec, s)
			})
		})
		if released != 1 {
			t.Errorf("%s: released %d times, want once", name, released)
		}
	}
}
