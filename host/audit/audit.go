// Package audit owns who changed what: one JetStream stream of changes, durable before the call that made them is answered.
//
// A change has the subject audit.TENANT.BY, after the tenant that owns what was changed and the one whose caller changed it, and each
// subject is bounded by itself: however much one tenant changes, nobody else's changes go for it, nor what the operator changed of it.
//
// It starts no goroutines and holds no locks.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Change is one change that somebody made.
type Change struct {
	// ID is set by [Log.List]; unique on the server and ascending in the order of writing.
	ID string `json:"-"`
	// At is when it was made, by the server's clock.
	At time.Time `json:"at"`
	// Tenant owns what was changed.
	Tenant tenant.ID `json:"tenant"`
	// Actor is who changed it, as tenant.Principal.Actor writes it, and By the tenant that it belongs to.
	Actor string    `json:"actor"`
	By    tenant.ID `json:"by"`
	// Action is the procedure, as "PublishGraph".
	Action string `json:"action"`
	// Kind and Name say what was changed, as "graph" and "ocr@3".
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Before and After are the digests of what was there before and is there now; "" for nothing, or for what has none.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// RequestID is the call's.
	RequestID string `json:"request_id,omitempty"`
}

// Config configures a Log.
type Config struct {
	// MaxAge is how long changes are kept. Default 400 days.
	MaxAge time.Duration
	// MaxChanges bounds those that callers of one tenant made of the things of one tenant; the oldest go first. Default 100,000,
	// about 50 MB.
	MaxChanges int64
}

// ErrUnavailable says that the store does not answer.
var ErrUnavailable = errors.New("audit store is unavailable")

const streamName = "tandem_audit"

// Log appends and lists changes. Its methods may overlap.
type Log struct {
	conn *catalog.Conn
	js   jetstream.JetStream
}

// Open returns a Log over the catalog's connection.
func Open(ctx context.Context, conn *catalog.Conn, cfg Config) (*Log, error) {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 400 * 24 * time.Hour
	}
	if cfg.MaxChanges == 0 {
		cfg.MaxChanges = 100_000
	}
	l := &Log{conn: conn, js: conn.JetStream()}
	_, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Description: "tandem: who changed what", Subjects: []string{"audit.>"},
		Storage: jetstream.FileStorage, Replicas: conn.Replicas(), MaxAge: cfg.MaxAge, MaxMsgsPerSubject: cfg.MaxChanges,
		Discard: jetstream.DiscardOld, DenyDelete: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return l, nil
}

// Append writes a change and returns once it is durable. Errors: tenant.ErrName, catalog.ErrNoSpace, [ErrUnavailable].
func (l *Log) Append(ctx context.Context, c Change) error {
	if err := errors.Join(tenant.CheckID(c.Tenant), tenant.CheckID(c.By)); err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := l.conn.CheckSpace(len(data)); err != nil {
		return err
	}
	if _, err := l.js.Publish(ctx, "audit."+string(c.Tenant)+"."+string(c.By), data); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Forget removes all changes of what is a tenant's, whoever made them, for good: they are part of what it owns.
func (l *Log) Forget(ctx context.Context, t tenant.ID) error {
	if err := tenant.CheckID(t); err != nil {
		return err
	}
	stream, err := l.js.Stream(ctx, streamName)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(ofTenant(t)))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// ofTenant returns the subjects of the changes of a tenant's things.
func ofTenant(t tenant.ID) string { return "audit." + string(t) + ".*" }

// Filter says what to list.
type Filter struct {
	// Tenant owns what was changed; "" is all.
	Tenant tenant.ID
	// Since is the oldest wanted. The zero time is all that is kept.
	Since time.Time
	// After is the ID of the last one seen, from which to go on; "" begins at Since.
	After string
	// Size is the most wanted. Default 100, at most 1000.
	Size int
}

// List returns changes, oldest first. Errors: tenant.ErrName, catalog.ErrInvalid, [ErrUnavailable].
func (l *Log) List(ctx context.Context, f Filter) ([]Change, error) {
	consumer, err := l.consumer(ctx, f)
	if err != nil {
		return nil, err
	}
	size := min(max(f.Size, 0), 1000)
	if size == 0 {
		size = 100
	}
	batch, err := consumer.FetchNoWait(size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var out []Change
	for m := range batch.Messages() {
		var c Change
		meta, err := m.Metadata()
		if err == nil {
			err = json.Unmarshal(m.Data(), &c)
		}
		if err != nil {
			return nil, fmt.Errorf("audit message: %w", err)
		}
		c.ID = strconv.FormatUint(meta.Sequence.Stream, 10)
		out = append(out, c)
	}
	if err := batch.Error(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return out, nil
}

// consumer begins where the filter says.
func (l *Log) consumer(ctx context.Context, f Filter) (jetstream.Consumer, error) {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{"audit.>"}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if f.Tenant != "" {
		if err := tenant.CheckID(f.Tenant); err != nil {
			return nil, err
		}
		cfg.FilterSubjects = []string{ofTenant(f.Tenant)}
	}
	switch {
	case f.After != "":
		seq, err := strconv.ParseUint(f.After, 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%w: page token %q", catalog.ErrInvalid, f.After)
		}
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, seq+1
	case !f.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.Since
	}
	consumer, err := l.js.OrderedConsumer(ctx, streamName, cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return consumer, nil
}
