package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/api/wire"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/usage"
)

// call is what the layers of one HTTP request tell each other. It is made before anything is known of the caller.
type call struct {
	io.ReadCloser // the body

	control *http.ResponseController
	silence time.Duration // that the sender of the body may keep
	set     time.Time     // when the deadline for more of it was set last
	until   time.Time     // when the body must be there
	lasting bool          // the deadline is the connection's and outlasts the body
	length  int64         // of the body, as announced; -1 is unknown
	visit   atomic.Pointer[quota.Visit]
	refused atomic.Pointer[tenant.QuotaError] // what ended the reading of the body

	// exchange is what is known of its messages. The worker is set once the tenant is known.
	exchange wire.Exchange
	// bytesOut counts the outputs of the call.
	bytesOut int64
	// answered, when set, is called once when the handler has returned: the answer has been encoded, if there is one.
	answered func()
}

type callKey struct{}

// callOf returns the call that ctx belongs to. It is never nil, so that handlers can be called without a server in tests.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{length: -1}
}

// counted gives every request its call and counts the body as it is read. A body whose length is announced is counted
// whole, before it is read. A body may be silent for silence and must be there after whole.
func counted(next http.Handler, silence, whole time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{
			ReadCloser: r.Body, control: http.NewResponseController(w), silence: silence, until: time.Now().Add(whole),
			lasting: r.ProtoMajor < 2, length: r.ContentLength,
		}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		r.Body = c
		next.ServeHTTP(w, r)
	})
}

// A body may be silent for slowSender and take slowBody in all, so that who sends a byte now and then holds no place.
const (
	slowSender = 30 * time.Second
	slowBody   = 5 * time.Minute
)

// Read implements io.Reader.
func (c *call) Read(p []byte) (int, error) {
	if now := time.Now(); stale(c.set, now, c.silence) {
		c.set = now
		// Where deadlines are not known, as in tests without a network, nobody is slow.
		_ = c.control.SetReadDeadline(earlier(now.Add(c.silence), c.until))
	}
	n, err := c.ReadCloser.Read(p)
	if err != nil && c.lasting {
		_ = c.control.SetReadDeadline(time.Time{}) // what comes after the body is the connection's business
	}
	v := c.visit.Load()
	if v == nil || c.length >= 0 || n == 0 {
		return n, err
	}
	if qerr := v.Bytes(int64(n)); qerr != nil {
		if q, ok := errors.AsType[*tenant.QuotaError](qerr); ok {
			c.refused.Store(q)
		}
		return 0, qerr
	}
	return n, err
}

// stale reports whether a deadline that was set patience ahead at the time set should be set anew. HTTP/2 sets one by a message
// to the connection's goroutine, so that not every read and write does it: patience is at least seven eighths of what it says.
func stale(set, now time.Time, patience time.Duration) bool {
	return set.IsZero() || now.Sub(set) > patience/8
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// admit lets the call in by the door, and counts what it used.
func admit(door *quota.Door, ledger *usage.Ledger) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			t, err := tenant.From(ctx)
			if err != nil {
				return err
			}
			v, err := door.Enter(t)
			if err != nil {
				return err
			}
			c := callOf(ctx)
			if c.length > 0 {
				err = v.Bytes(c.length)
			}
			if err == nil {
				c.visit.Store(v)
				err = c.handle(ctx, spec, stream, next)
			}
			if q := c.refused.Load(); q != nil {
				err = q
			}
			in := v.Leave()
			if procedures[spec.Procedure].action == tenant.ActionCall {
				s := usage.Sum{Requests: 1, BytesIn: in, BytesOut: c.bytesOut}
				if err != nil {
					s.Failed = 1
				}
				ledger.Add(t, s)
			}
			return err
		}
	}
}

// handle calls next, and what is to be called after it, also when it panics.
func (c *call) handle(ctx context.Context, spec connect.Spec, stream connect.ServerStream, next connect.ServerFunc) error {
	defer func() {
		if c.answered != nil {
			c.answered()
		}
	}()
	return next(ctx, spec, stream)
}

// Hold counts what requests hold in the server among the bytes in flight of their tenants. It is an engine's Config.Hold.
func Hold(ctx context.Context, delta int64) error {
	if v := callOf(ctx).visit.Load(); v != nil {
		return v.Hold(delta)
	}
	return nil
}

// retain keeps a release open, and what the call holds counted, for a shadow. It is an engine's Request.Retain.
func (c *call) retain(lease *control.Lease) func() (done func()) {
	return func() func() {
		closeRelease, uncount := lease.Retain(), func() {}
		if v := c.visit.Load(); v != nil {
			uncount = v.Retain()
		}
		return func() {
			uncount()
			closeRelease()
		}
	}
}

// Spent charges what was run for a request to its tenant and to the call that it belongs to. It is an engine's Config.Spent.
func Spent(ledger *usage.Ledger) func(context.Context, engine.Spent) {
	return func(ctx context.Context, s engine.Spent) {
		t, err := tenant.From(ctx)
		if err != nil {
			return // nobody's, in tests
		}
		ledger.Add(t, usage.Sum{Fuel: s.Fuel, Compute: s.Compute})
		if v := callOf(ctx).visit.Load(); v != nil {
			v.Fuel(s.Fuel)
		}
	}
}
