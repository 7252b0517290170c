// Package usage owns what tenants have used: it adds up requests, fuel, compute time and bytes by tenant and minute, keeps
// the sums durably, and answers how much was used in a range of time.
//
// Sums are written every second: after a crash they lack at most the last second. They lie in one JetStream stream, one
// message for each tenant, server and hour, which holds the hour's minutes and is replaced by the next write.
//
// [Ledger.Run] is the one goroutine. One lock, of the Ledger, which is not held while something is written.
package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Sum is what was used.
type Sum struct {
	// Requests counts calls of graphs, Failed those of them that failed.
	Requests uint64 `json:"requests,omitempty"`
	Failed   uint64 `json:"failed,omitempty"`
	// Fuel is what plugins executed, in units of about one instruction.
	Fuel uint64 `json:"fuel,omitempty"`
	// Compute is the time that plugins and models ran, in nanoseconds, added up over what ran at the same time.
	Compute time.Duration `json:"compute,omitempty"`
	// BytesIn and BytesOut count the bodies of calls and of their answers.
	BytesIn  int64 `json:"bytes_in,omitempty"`
	BytesOut int64 `json:"bytes_out,omitempty"`
	// Records counts what plugins recorded.
	Records uint64 `json:"records,omitempty"`
}

// Add adds o to s.
func (s *Sum) Add(o Sum) {
	s.Requests += o.Requests
	s.Failed += o.Failed
	s.Fuel += o.Fuel
	s.Compute += o.Compute
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
	s.Records += o.Records
}

// Minute is what was used in one minute.
type Minute struct {
	// Start is the beginning of the minute, in UTC.
	Start time.Time
	Sum
}

// Config configures a Ledger.
type Config struct {
	// Server names this server among those that share a store: letters, digits, "-" and "_". Required. Two servers of one
	// name overwrite each other's sums.
	Server string
	// MaxAge is how long sums are kept. Default 400 days, a year and the month to bill it in.
	MaxAge time.Duration
	// Interval is how often sums are written. Default 1 s.
	Interval time.Duration
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

var serverRule = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Validate returns every fault of c at once.
func (c Config) Validate() error {
	var errs []error
	if !serverRule.MatchString(c.Server) {
		errs = append(errs, fmt.Errorf("usage: server name %q: want letters, digits, - and _", c.Server))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("usage: no Logger"))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.MaxAge == 0 {
		c.MaxAge = 400 * 24 * time.Hour
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// ErrUnavailable says that the store does not answer.
var ErrUnavailable = errors.New("usage store is unavailable")

const (
	streamName = "tandem_usage"
	writeTime  = 10 * time.Second
)

// hour is what a message holds: the minutes of one hour, by their number in it.
type hour struct {
	Minutes map[int]Sum `json:"minutes"`
}

// bucketKey names an hour of a tenant.
type bucketKey struct {
	tenant tenant.ID
	hour   int64 // Unix time in hours
}

// bucket is an hour in the making.
type bucket struct {
	hour
	changed bool
	loaded  bool // what an earlier run of this server wrote is in it
}

// Ledger adds up and answers. Its methods may overlap.
type Ledger struct {
	cfg  Config
	conn *catalog.Conn
	js   jetstream.JetStream

	mu      sync.Mutex // guards the following
	buckets map[bucketKey]*bucket
}

// Open returns a Ledger over the catalog's connection. The caller runs Run.
func Open(ctx context.Context, conn *catalog.Conn, cfg Config) (*Ledger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Ledger{cfg: cfg.withDefaults(), conn: conn, js: conn.JetStream(), buckets: make(map[bucketKey]*bucket)}
	_, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Description: "tandem: what tenants used, by hour", Subjects: []string{"usage.>"},
		Storage: jetstream.FileStorage, Replicas: conn.Replicas(), MaxAge: l.cfg.MaxAge, MaxMsgsPerSubject: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("open usage: %w", err)
	}
	return l, nil
}

// Add counts s for a tenant, now. It never blocks on the store.
func (l *Ledger) Add(t tenant.ID, s Sum) {
	now := l.cfg.Now().Unix()
	key := bucketKey{t, now / 3600}
	minute := int(now % 3600 / 60)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		b = &bucket{hour: hour{Minutes: make(map[int]Sum)}}
		l.buckets[key] = b
	}
	sum := b.Minutes[minute]
	sum.Add(s)
	b.Minutes[minute] = sum
	b.changed = true
}

// Run writes what was added, every interval and once more when ctx ends, which it waits for.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(l.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
			defer cancel()
			l.flush(last)
			return nil
		}
	}
}

// flush writes; what cannot be written is tried again the next time.
func (l *Ledger) flush(ctx context.Context) {
	if err := l.Flush(ctx); err != nil && ctx.Err() == nil {
		l.cfg.Logger.WarnContext(ctx, "usage was not written and is tried again", slog.Any("error", err))
	}
}

// subject is where an hour lies.
func (l *Ledger) subject(k bucketKey) string {
	return fmt.Sprintf("usage.%s.%s.%d", k.tenant, l.cfg.Server, k.hour)
}

func decodeHour(data []byte) (hour, error) {
	var h hour
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("usage message: %w", err)
	}
	for minute := range h.Minutes {
		if minute < 0 || minute > 59 {
			return hour{}, fmt.Errorf("usage message: an hour has no minute %d", minute)
		}
	}
	return h, nil
}
