package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Flush writes what was added since the last time and returns once it is durable. Calls must not overlap with each other or
// with Run.
func (l *Ledger) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	var errs []error
	for _, key := range l.changed() {
		if err := l.write(ctx, key); err != nil {
			errs = append(errs, err)
		}
	}
	l.dropPast()
	return errors.Join(errs...)
}

func (l *Ledger) changed() []bucketKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []bucketKey
	for key, b := range l.buckets {
		if b.changed {
			keys = append(keys, key)
		}
	}
	return keys
}

// write stores one hour. The first time it adds what this server wrote before it was started again.
func (l *Ledger) write(ctx context.Context, key bucketKey) error {
	if err := l.load(ctx, key); err != nil {
		return err
	}
	l.mu.Lock()
	b := l.buckets[key]
	if b == nil { // the tenant was deleted meanwhile
		l.mu.Unlock()
		return nil
	}
	data, err := json.Marshal(b.hour)
	b.changed = false
	l.mu.Unlock()
	if err == nil {
		err = l.conn.CheckSpace(len(data))
	}
	if err == nil {
		_, err = l.js.Publish(ctx, l.subject(key), data)
	}
	if err != nil {
		l.mu.Lock()
		b.changed = true
		l.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func (l *Ledger) load(ctx context.Context, key bucketKey) error {
	l.mu.Lock()
	b := l.buckets[key]
	known := b == nil || b.loaded
	l.mu.Unlock()
	if known {
		return nil
	}
	stream, err := l.js.Stream(ctx, streamName)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var before hour
	m, err := stream.GetLastMsgForSubject(ctx, l.subject(key))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		if before, err = decodeHour(m.Data); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for minute, s := range before.Minutes {
		sum := b.Minutes[minute]
		sum.Add(s)
		b.Minutes[minute] = sum
	}
	b.loaded = true
	return nil
}

// dropPast forgets the hours that are over and written.
func (l *Ledger) dropPast() {
	now := l.cfg.Now().Unix() / 3600
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, b := range l.buckets {
		if key.hour < now && !b.changed {
			delete(l.buckets, key)
		}
	}
}

// Forget removes what is known of a tenant, for good.
func (l *Ledger) Forget(ctx context.Context, t tenant.ID) error {
	if err := tenant.CheckID(t); err != nil {
		return err
	}
	l.mu.Lock()
	for key := range l.buckets {
		if key.tenant == t {
			delete(l.buckets, key)
		}
	}
	l.mu.Unlock()
	stream, err := l.js.Stream(ctx, streamName)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject("usage."+string(t)+".>"))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}
