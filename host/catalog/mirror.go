package catalog

import (
	"context"
	"sync"
	"sync/atomic"
)

// mirror keeps tenants and keys in memory, so that authentication needs no I/O. What this process writes shows in it at
// once; what other processes write, on the same external store, as soon as the store tells. While the store cannot be
// reached the mirror is not used, so that a revoked key is refused rather than taken for good.
type mirror struct {
	bucket    *bucket
	connected func() bool
	first     chan struct{} // closed at the first sync
	changes   chan struct{} // has a value when records changed; holds one
	// epoch is the epoch of the last complete listing, or -1.
	epoch atomic.Int64

	// mu guards the following.
	mu      sync.RWMutex
	records map[string]mirrored
}

// mirrored is a record, or with value nil a deletion that is kept until the store has told of it too: an older event may
// still be on its way.
type mirrored struct {
	value any
	rev   uint64
}

func newMirror(b *bucket, connected func() bool) *mirror {
	m := &mirror{
		bucket: b, connected: connected, first: make(chan struct{}),
		changes: make(chan struct{}, 1), records: make(map[string]mirrored),
	}
	m.epoch.Store(-1)
	return m
}

// run follows the bucket until ctx is done.
func (m *mirror) run(ctx context.Context) {
	for e := range m.bucket.follow(ctx, prefixTenant+".>", prefixKey+".>") {
		switch {
		case e.synced:
			if m.epoch.Swap(int64(e.epoch)) == -1 {
				close(m.first)
			}
		case e.deleted:
			m.told(e.key, mirrored{rev: e.rev})
		default:
			m.told(e.key, mirrored{value: decodeMirrored(e.key, e.value), rev: e.rev})
		}
	}
}

// wait returns once everything is there.
func (m *mirror) wait(ctx context.Context) error {
	select {
	case <-m.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// told takes what the store says.
func (m *mirror) told(key string, r mirrored) {
	defer m.signal()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[key].rev > r.rev {
		return
	}
	if r.value == nil {
		delete(m.records, key)
		return
	}
	m.records[key] = r
}

// wrote takes what this process has written.
func (m *mirror) wrote(key string, r mirrored) {
	defer m.signal()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[key].rev < r.rev {
		m.records[key] = r
	}
}

// removed takes that this process has removed a record for good.
func (m *mirror) removed(key string) {
	m.mu.Lock()
	rev := m.records[key].rev + 1
	m.mu.Unlock()
	m.wrote(key, mirrored{rev: rev})
}

func (m *mirror) signal() {
	select {
	case m.changes <- struct{}{}:
	default:
	}
}

// load returns the record under key, or [ErrNotFound].
func load[T any](ctx context.Context, m *mirror, key string) (T, error) {
	var zero T
	if !m.usable() {
		v, _, err := get[T](ctx, m.bucket, key)
		return v, err
	}
	m.mu.RLock()
	r := m.records[key]
	m.mu.RUnlock()
	switch v := r.value.(type) {
	case nil:
		return zero, ErrNotFound
	case T:
		return v, nil
	case error:
		return zero, v
	}
	return zero, ErrCorrupt
}

// usable reports whether the connection stood ever since the last complete listing began.
func (m *mirror) usable() bool {
	epoch, _ := m.bucket.reconnected.next()
	return m.epoch.Load() == int64(epoch) && m.connected()
}
