package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
)

// TestSlowClientsHoldNoPlace has clients that send half a head, a head a byte at a time, a body that never ends, and that say
// no more but do not leave, each many times. Others are served meanwhile, and who has sent no whole head is cut off: the server
// bounds that by ten seconds.
func TestSlowClientsHoldNoPlace(t *testing.T) {
	s := start(t, rig.Options{})
	v := newVictim(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	t.Cleanup(func() { stop(); clients.Wait() })
	const (
		each = 50
		head = "POST /tandem.v1.InferenceService/Infer HTTP/1.1\r\nHost: x\r\n"
	)
	cutOff := make(chan struct{}, 2*each)
	begin := time.Now()
	for range each {
		silent := dial(t, s, head+"X-Slow: ")
		clients.Go(func() {
			_, _ = io.Copy(io.Discard, silent) // until the server has had enough
			cutOff <- struct{}{}
		})
		slow := dial(t, s, head+"X-Slow: ")
		clients.Go(func() {
			_ = drip(ctx, slow, []byte("x"), 100*time.Millisecond)
			cutOff <- struct{}{}
		})
		body := dial(t, s, head+"Content-Type: application/json\r\nAuthorization: Bearer "+s.Key+"\r\nContent-Length: 1000000\r\n\r\n")
		clients.Go(func() { _ = drip(ctx, body, []byte(" "), 100*time.Millisecond) })
		halfOpen := dial(t, s, head+"Content-Length: 9\r\n\r\n")
		if err := halfOpen.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if l := v.load(t, 2*time.Second); len(l.failed) > 0 {
		t.Errorf("%d of %d calls failed beside slow clients: %v", len(l.failed), l.calls, errors.Join(l.failed...))
	}
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for range cap(cutOff) {
		select {
		case <-cutOff:
		case <-deadline.C:
			t.Fatal("clients that send no whole head are still connected")
		}
	}
	t.Logf("the last client without a head was cut off after %v", time.Since(begin).Round(time.Millisecond))
}

// dial connects, writes what a client says first, and closes with the test.
func dial(t *testing.T, s *rig.Server, first string) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("got a %T", conn)
	}
	t.Cleanup(func() { _ = tcp.Close() }) // the server may have closed it
	if _, err := io.WriteString(tcp, first); err != nil {
		t.Fatal(err)
	}
	return tcp
}

// answerTo reads the answer to what was sent on a connection.
func answerTo(t *testing.T, conn net.Conn) (status int, text string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestOversizedRequests sends heads and bodies that are larger than the server takes.
func TestOversizedRequests(t *testing.T) {
	s := start(t, rig.Options{})
	v := newVictim(t, s)
	_, key := newTenantWithKey(t, s, "greedy", nil)
	const head = "POST /tandem.v1.InferenceService/Infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, tc := range map[string]struct {
		head   string
		body   int64 // spaces that follow
		status int
		words  string
	}{
		"a head of a megabyte":        {head + "X-Large: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", 0, http.StatusRequestHeaderFieldsTooLarge, ""},
		"a thousand headers":          {head + strings.Repeat("X-Many: "+strings.Repeat("x", 100)+"\r\n", 1000) + "\r\n", 0, http.StatusRequestHeaderFieldsTooLarge, ""},
		"a body beyond the message":   {head + "Authorization: Bearer " + key + "\r\nContent-Length: 80000000\r\n\r\n", 80000000, http.StatusTooManyRequests, "REASON_LIMIT_EXCEEDED"},
		"an announced body too large": {head + "Authorization: Bearer " + key + "\r\nContent-Length: 600000000\r\n\r\n", 0, http.StatusTooManyRequests, "bytes_in_flight"},
		"a large body without a key":  {head + "Content-Length: 600000000\r\n\r\n", 0, http.StatusUnauthorized, "REASON_UNAUTHENTICATED"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialUnchecked(t, s, tc.head)
			go func() { _, _ = io.CopyN(conn, spaces{}, tc.body) }() // ends with the connection
			status, text := answerTo(t, conn)
			if status != tc.status || !strings.Contains(text, tc.words) {
				t.Errorf("got %d %s, want %d and %s", status, text, tc.status, tc.words)
			}
			if err := v.call(t.Context()); err != nil {
				t.Errorf("others are not served: %v", err)
			}
		})
	}
}

// dialUnchecked is dial for what the server may refuse before it is written whole.
func dialUnchecked(t *testing.T, s *rig.Server, first string) *net.TCPConn {
	t.Helper()
	conn := dial(t, s, "")
	_, _ = io.WriteString(conn, first) // the answer says what went wrong
	return conn
}

// spaces reads as spaces without end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestIdleConnections holds ten thousand connections, each of which has shown a key, been answered once and says no more, or as many as
// the system allows. Others are served meanwhile.
func TestIdleConnections(t *testing.T) {
	n := allowConnections(t, 10000)
	s := start(t, rig.Options{})
	v := newVictim(t, s)
	v.load(t, time.Second)
	before := residentMiB(t, s.PID())
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		conns[i] = dial(t, s, "POST /tandem.v1.ServerService/GetServerInfo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
			"Authorization: Bearer "+s.Key+"\r\nContent-Length: 2\r\n\r\n{}")
	}
	for _, conn := range conns {
		if status, text := answerTo(t, conn); status != http.StatusOK {
			t.Fatalf("got status %d: %s", status, text)
		}
	}
	l := v.load(t, 2*time.Second)
	if len(l.failed) > 0 {
		t.Errorf("%d of %d calls failed beside idle connections: %v", len(l.failed), l.calls, errors.Join(l.failed...))
	}
	after := residentMiB(t, s.PID())
	open := 0
	for _, conn := range conns {
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err == nil {
			open++
		}
	}
	if open != n {
		t.Errorf("%d of %d connections are open: idle ones are kept for two minutes", open, n)
	}
	t.Logf("%d idle connections: %d MiB before them, %d with them; the victim's p99 is %v", n, before, after, l.at(99))
	if perKiB := (after - before) << 10 / n; perKiB > 64 {
		t.Errorf("an idle connection takes %d KiB", perKiB)
	}
}
