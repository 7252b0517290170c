package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What a connection may cost that has shown no valid key. Heads of requests are within strangerBytes, TLS included, and so is what a
// client sends ahead of its first key's being read.
const (
	// strangerCost is what one holds at most, in bytes: requests take several times of what they are sent as.
	strangerCost = 512 << 10
	// strangerBytes is how much is read of one between two moments at which all its calls have ended. Reading waits then.
	strangerBytes = 96 << 10
	// strangerTime is how long one may be without a moment at which all its calls have ended.
	strangerTime = 20 * time.Second
	// strangerGrace is how long one has before it is closed for another one.
	strangerGrace = 500 * time.Millisecond
	// strangerPause is how long reading waits while no call runs: one may be about to begin, or its answer be on its way.
	strangerPause = 2 * time.Second
)

// strangers are the open connections that have shown no valid key, max of them at most: for one more, the oldest is closed of the
// address that has most, once it has had strangerGrace. So nobody keeps others out by holding many, and many who come at once with
// their keys wait for each other, outside. Its methods may overlap.
type strangers struct {
	max int
	// room has a value when there may be one fewer.
	room chan struct{}

	mu     sync.Mutex // guards the following
	from   map[netip.Prefix]map[*stranger]uint64
	open   int
	closed uint64 // for others, since the start
	next   uint64 // what the next one is counted as
}

func newStrangers(most int) *strangers {
	return &strangers{max: most, room: make(chan struct{}, 1), from: map[netip.Prefix]map[*stranger]uint64{}}
}

// strangerListener accepts connections as strangers.
type strangerListener struct {
	net.Listener
	set *strangers
}

// Accept implements net.Listener.
func (l strangerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.set.admit(conn), nil
}

// admit takes a connection in, and closes another one when there are too many. It waits strangerGrace at most.
func (s *strangers) admit(conn net.Conn) *stranger {
	g := &stranger{
		Conn: conn, set: s, from: originOf(conn.RemoteAddr()), left: strangerBytes,
		more: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	loser, wait := s.add(g)
	for wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-s.room:
		case <-timer.C:
		}
		timer.Stop()
		loser, wait = s.add(g)
	}
	if loser != nil {
		_ = loser.Close() // it may have gone
	}
	return g
}

// add counts g, whose time begins, and returns who is to be closed for it, nil for nobody; or it returns how long to wait for that.
func (s *strangers) add(g *stranger) (loser *stranger, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.max {
		loser = s.oldestLocked()
		if wait := strangerGrace - time.Since(loser.since); wait > 0 {
			return nil, wait
		}
		s.removeLocked(loser)
		s.closed++
	}
	if s.from[g.from] == nil {
		s.from[g.from] = map[*stranger]uint64{}
	}
	s.from[g.from][g] = s.next
	s.next++
	s.open++
	g.since = time.Now()
	g.timer = time.AfterFunc(strangerTime, g.expire)
	return loser, 0
}

// oldestLocked returns the oldest of the address that has most. It looks at all, which are few beside what it costs to connect.
func (s *strangers) oldestLocked() (oldest *stranger) {
	var most map[*stranger]uint64
	for _, of := range s.from {
		if len(of) > len(most) {
			most = of
		}
	}
	for g, n := range most {
		if oldest == nil || n < most[oldest] {
			oldest = g
		}
	}
	return oldest
}

func (s *strangers) remove(g *stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(g)
}

func (s *strangers) removeLocked(g *stranger) {
	of := s.from[g.from]
	if _, in := of[g]; !in {
		return
	}
	delete(of, g)
	s.open--
	if len(of) == 0 {
		delete(s.from, g.from)
	}
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// count returns how many there are, and how many were closed for others since the start.
func (s *strangers) count() (open int, closed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.closed
}

// originOf returns whom an address is counted as: itself, and of IPv6 the network of 64 bits that one client has.
func originOf(addr net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap(), 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// stranger is a connection, bounded until a call of it has come with a valid key. See strangers.
type stranger struct {
	net.Conn
	set   *strangers
	from  netip.Prefix
	since time.Time
	timer *time.Timer
	// more has a value when reading may go on; gone is closed with the connection.
	more, gone chan struct{}
	close      sync.Once
	// known is that a valid key was shown; free, that reads are not bounded: known, or HTTP/1.1, which holds a head and no more.
	known, free atomic.Bool

	mu    sync.Mutex // guards the following, and the timer's being set and stopped
	left  int        // bytes that may be read
	calls int        // that run
}

// Read implements net.Conn. It waits while a stranger has sent too much.
func (g *stranger) Read(p []byte) (int, error) {
	for !g.free.Load() {
		room := g.room()
		if room > 0 {
			n, err := g.Conn.Read(p[:min(len(p), room)])
			g.took(n)
			return n, err
		}
		select {
		case <-g.more:
		case <-g.gone:
			return 0, net.ErrClosed
		}
	}
	return g.Conn.Read(p)
}

// room returns how much may be read. When that is nothing, and no call runs whose end could change it, there is little time left.
func (g *stranger) room() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == 0 && g.calls == 0 && !g.known.Load() {
		g.giveLocked(strangerPause)
	}
	return g.left
}

func (g *stranger) took(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left -= n
}

// Close implements net.Conn.
func (g *stranger) Close() error {
	g.close.Do(func() {
		g.mu.Lock()
		g.timer.Stop()
		close(g.gone)
		g.mu.Unlock()
		g.set.remove(g)
	})
	return g.Conn.Close()
}

// CloseWrite ends what is sent, so that a client may read an answer to what it still sends: net/http asks for that.
func (g *stranger) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// expire closes a connection whose time has passed.
func (g *stranger) expire() {
	if !g.known.Load() {
		_ = g.Close() // nobody is there to be told
	}
}

// welcome ends the bounds: a call of the connection came with a valid key.
func (g *stranger) welcome() {
	if g.known.Swap(true) {
		return
	}
	g.mu.Lock()
	g.timer.Stop()
	g.mu.Unlock()
	g.set.remove(g)
	g.letRead()
}

// letRead ends the bound on what is read.
func (g *stranger) letRead() {
	g.free.Store(true)
	g.wake()
}

func (g *stranger) wake() {
	select {
	case g.more <- struct{}{}:
	default:
	}
}

func (g *stranger) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
}

// end counts a call that has ended, its answer sent. With the last one the bounds begin anew.
func (g *stranger) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls--; g.calls > 0 || g.known.Load() {
		return
	}
	g.left = strangerBytes
	g.giveLocked(strangerTime)
	g.wake()
}

// giveLocked says how long the connection may be open from now on.
func (g *stranger) giveLocked(d time.Duration) {
	select {
	case <-g.gone:
	default:
		g.timer.Reset(d)
	}
}

// strangerKey is the key of a call's connection in its context.
type strangerKey struct{}

// withStranger puts a connection into the context of its calls.
func withStranger(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if g, ok := conn.(*stranger); ok {
		return context.WithValue(ctx, strangerKey{}, g)
	}
	return ctx
}

// authenticated says that the call of a context came with a valid key.
func authenticated(ctx context.Context) {
	if g, ok := ctx.Value(strangerKey{}).(*stranger); ok {
		g.welcome()
	}
}

// countCalls tells strangers of their calls.
func countCalls(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, ok := r.Context().Value(strangerKey{}).(*stranger)
		if !ok || g.known.Load() {
			next.ServeHTTP(w, r)
			return
		}
		if r.ProtoMajor == 1 {
			g.letRead()
		}
		g.begin()
		defer g.end()
		next.ServeHTTP(w, r)
		if r.ProtoMajor > 1 && !g.known.Load() {
			// An answer that is not taken stays, and so does its request: the call has not ended before it was.
			_ = http.NewResponseController(w).Flush() // the stream may have gone
		}
	})
}
