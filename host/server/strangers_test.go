package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// from is a connection from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr))
}

// admitted returns a stranger from an address, and its client's end.
func admitted(t *testing.T, s *strangers, addr string) (*stranger, net.Conn) {
	t.Helper()
	here, there := net.Pipe()
	g := s.admit(from{here, addr})
	t.Cleanup(func() { _, _ = g.Close(), there.Close() })
	return g, there
}

func open(g *stranger) bool {
	select {
	case <-g.gone:
		return false
	default:
		return true
	}
}

// The address that has most makes room, its oldest first, and who has shown a key does not count.
func TestStrangersMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStrangers(3)
		a1, _ := admitted(t, s, "192.0.2.1:1")
		a2, _ := admitted(t, s, "192.0.2.1:2")
		b, _ := admitted(t, s, "192.0.2.2:1")
		time.Sleep(strangerGrace)
		c, _ := admitted(t, s, "[2001:db8::1]:1")
		if open(a1) || !open(a2) || !open(b) || !open(c) {
			t.Errorf("open are %v %v %v %v, want all but the oldest of the address that has two", open(a1), open(a2), open(b), open(c))
		}
		b.welcome()
		c2, _ := admitted(t, s, "[2001:db8::2]:1") // of the same network as c
		time.Sleep(strangerGrace)
		a3, _ := admitted(t, s, "192.0.2.1:3")
		if open(c) || !open(a2) || !open(b) || !open(c2) || !open(a3) {
			t.Errorf("open are %v %v %v %v %v, want all but the older one of the network that has two", open(c), open(a2), open(b), open(c2), open(a3))
		}
		if n, closed := s.count(); n != 3 || closed != 2 {
			t.Errorf("got %d strangers and %d that were closed, want 3 and 2", n, closed)
		}
		for _, g := range []*stranger{a2, c2, a3, b, a2} {
			_ = g.Close()
		}
		if n, _ := s.count(); n != 0 || len(s.from) != 0 {
			t.Errorf("%d strangers are counted when all have gone: %v", n, s.from)
		}
	})
}

// Many who come at once wait for those before them, and nobody is closed who shows a key soon.
func TestStrangersWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStrangers(2)
		begin := time.Now()
		for i := range 20 {
			g, _ := admitted(t, s, "192.0.2.1:1")
			time.AfterFunc(strangerGrace/5, g.welcome)
			if want := time.Duration(i/2) * strangerGrace / 5; time.Since(begin) != want {
				t.Errorf("connection %d was taken in after %v, want %v", i, time.Since(begin), want)
			}
		}
		time.Sleep(strangerGrace)
		if n, closed := s.count(); n != 0 || closed != 0 {
			t.Errorf("%d strangers are left and %d were closed, want none", n, closed)
		}
	})
}

// sent says how much of a stranger is read once all has been that may be.
func sent(read *int) int {
	synctest.Wait()
	return *read
}

// What is read of a stranger is bounded while its calls run, until it shows a key.
func TestStrangersSendLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, there := admitted(t, newStrangers(1), "192.0.2.1:1")
		go func() { _, _ = io.Copy(there, zeros{}) }()
		read := 0
		ended := make(chan error)
		go func() {
			buf := make([]byte, 4096)
			for read < 10*strangerBytes {
				n, err := g.Read(buf)
				read += n
				if err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
		g.begin()
		g.begin()
		if got := sent(&read); got != strangerBytes {
			t.Errorf("%d bytes were read, want %d", got, strangerBytes)
		}
		g.end()
		if got := sent(&read); got != strangerBytes {
			t.Errorf("%d bytes were read while a call runs, want %d", got, strangerBytes)
		}
		g.end()
		if got := sent(&read); got != 2*strangerBytes {
			t.Errorf("%d bytes were read after the calls, want %d", got, 2*strangerBytes)
		}
		g.begin()
		g.welcome()
		g.end()
		if err := <-ended; err != nil {
			t.Errorf("who has shown a key: %v", err)
		}
		time.Sleep(2 * strangerTime)
		if !open(g) {
			t.Error("who has shown a key was closed")
		}
	})
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Without a key there is little time: less when nothing can come of it, more with each call that ends.
func TestStrangersHaveLittleTime(t *testing.T) {
	for name, tc := range map[string]struct {
		does func(g *stranger, there net.Conn)
		want time.Duration
	}{
		"says nothing":          {func(*stranger, net.Conn) {}, strangerTime},
		"has a call that hangs": {func(g *stranger, _ net.Conn) { g.begin() }, strangerTime},
		"has calls that end": {func(g *stranger, _ net.Conn) {
			for range 3 {
				time.Sleep(strangerTime - time.Second)
				g.begin()
				g.end()
			}
		}, 3*(strangerTime-time.Second) + strangerTime},
		"has calls that end beside one that hangs": {func(g *stranger, _ net.Conn) {
			g.begin()
			time.Sleep(strangerTime / 2)
			g.begin()
			g.end()
		}, strangerTime},
		"sends what is no call": {func(g *stranger, there net.Conn) { go func() { _, _ = io.Copy(there, zeros{}) }() }, strangerPause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, there := admitted(t, newStrangers(1), "192.0.2.1:1")
				begin := time.Now()
				tc.does(g, there)
				_, err := io.Copy(io.Discard, g)
				if took := time.Since(begin); took != tc.want || err == nil {
					t.Errorf("it was open for %v, %v; want %v", took, err, tc.want)
				}
			})
		})
	}
}

// An answer that is not taken counts as a call that runs.
func TestStrangersTakeTheirAnswers(t *testing.T) {
	g, _ := admitted(t, newStrangers(1), "192.0.2.1:1")
	calls := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.calls
	}
	h := countCalls(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequestWithContext(withStranger(t.Context(), g), http.MethodPost, "/", nil)
	r.ProtoMajor = 2
	sent := false
	h.ServeHTTP(flushed{httptest.NewRecorder(), func() {
		sent = true
		if n := calls(); n != 1 {
			t.Errorf("%d calls run while the answer is sent, want 1", n)
		}
	}}, r)
	if !sent {
		t.Error("the end of the answer was not waited for")
	}
	if n := calls(); n != 0 {
		t.Errorf("%d calls run afterwards", n)
	}
}

// flushed calls back when an answer is sent.
type flushed struct {
	http.ResponseWriter
	sent func()
}

func (f flushed) FlushError() error {
	f.sent()
	return errors.New("the client is gone")
}
