package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/tenant"
)

const (
	// maxMessageBytes is the largest message that is made of several records.
	maxMessageBytes = 1 << 20
	// maxBatch is the most records that are written together.
	maxBatch = 1024
	// writeTime is how long the store may take to acknowledge.
	writeTime = 10 * time.Second
	// format is the version of the message format.
	format = 1
)

// message is what one JetStream message holds: records of one tenant and one stream.
type message struct {
	Format  int      `json:"format"`
	Records []Record `json:"records"`
}

// batch is a message in the making.
type batch struct {
	tenant  tenant.ID
	stream  string
	size    int
	pending []*Pending
}

// size is at least what r takes in a message: a byte of a label may become six.
func (r *Record) size() int {
	return len(r.Doc) + 6*(len(r.Stream)+len(r.Graph)+len(r.Node)+len(r.RequestID)) + 256
}

func (b *batch) encode() ([]byte, error) {
	m := message{Format: format, Records: make([]Record, len(b.pending))}
	for i, p := range b.pending {
		m.Records[i] = p.record
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // would make six bytes of one
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return buf.Bytes(), nil
}

func (b *batch) finish(err error) {
	for _, p := range b.pending {
		p.finish(err)
	}
}

// write takes what waits, writes it, and so on, until the queue is closed and empty. While it waits for the disk the
// next batch gathers in the queue, so batches grow with the load and a lone record does not wait.
func (l *Log) write(ctx context.Context) {
	for first := range l.queue {
		batches := l.gather(first)
		if err := ctx.Err(); err != nil {
			for _, b := range batches {
				b.finish(ErrClosed)
			}
			continue
		}
		l.publish(ctx, batches)
	}
}

// gather returns first and what else waits, as batches in the order of their first records.
func (l *Log) gather(first *Pending) []*batch {
	type key struct {
		tenant tenant.ID
		stream string
	}
	var batches []*batch
	open := make(map[key]*batch)
	add := func(p *Pending) {
		k := key{p.tenant, p.record.Stream}
		b := open[k]
		if b == nil || b.size+p.record.size() > l.maxMessage {
			b = &batch{tenant: k.tenant, stream: k.stream}
			open[k] = b
			batches = append(batches, b)
		}
		b.size += p.record.size()
		b.pending = append(b.pending, p)
	}
	add(first)
	for range maxBatch - 1 {
		select {
		case p, ok := <-l.queue:
			if !ok {
				return batches
			}
			add(p)
		default:
			return batches
		}
	}
	return batches
}

// publish writes batches and tells their callers. All are sent before the first acknowledgement is waited for.
func (l *Log) publish(ctx context.Context, batches []*batch) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	acks := make([]jetstream.PubAckFuture, len(batches))
	for i, b := range batches {
		ack, err := l.send(ctx, b)
		if err != nil {
			b.finish(err)
			continue
		}
		acks[i] = ack
	}
	for i, b := range batches {
		if acks[i] == nil {
			continue
		}
		select {
		case <-acks[i].Ok():
			b.finish(nil)
		case err := <-acks[i].Err():
			l.forget(b.tenant) // perhaps the stream is gone; it is made again the next time
			b.finish(fmt.Errorf("%w: %w", ErrUnavailable, err))
		case <-ctx.Done():
			b.finish(fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err()))
		}
	}
}

func (l *Log) send(ctx context.Context, b *batch) (jetstream.PubAckFuture, error) {
	data, err := b.encode()
	if err != nil {
		return nil, err
	}
	if err := l.conn.CheckSpace(len(data)); err != nil {
		return nil, err
	}
	if err := l.ensureStream(ctx, b.tenant); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	ack, err := l.js.PublishAsync(subject(b.tenant, b.stream), data)
	if errors.Is(err, nats.ErrMaxPayload) {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ack, nil
}

// ensureStream makes the tenant's stream on its first record since the start, and gives it today's limits.
func (l *Log) ensureStream(ctx context.Context, t tenant.ID) error {
	l.mu.Lock()
	_, ok := l.streams[t]
	l.mu.Unlock()
	if ok {
		return nil
	}
	_, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        streamName(t),
		Description: "tandem: records of tenant " + string(t),
		Subjects:    []string{"record." + string(t) + ".>"},
		Storage:     jetstream.FileStorage,
		Replicas:    l.conn.Replicas(),
		MaxAge:      max(l.cfg.MaxAge, 0),
		MaxBytes:    l.cfg.MaxBytes,
		Discard:     jetstream.DiscardOld,
		AllowDirect: false,
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.streams[t] = struct{}{}
	l.mu.Unlock()
	return nil
}

func (l *Log) forget(t tenant.ID) {
	l.mu.Lock()
	delete(l.streams, t)
	l.mu.Unlock()
}

func streamName(t tenant.ID) string { return "tandem_records_" + string(t) }

func subject(t tenant.ID, stream string) string { return "record." + string(t) + "." + stream }

// Forget removes all records of a tenant, for good. Records of it that are on their way may come after; nobody may be
// working for the tenant.
func (l *Log) Forget(ctx context.Context, t tenant.ID) error {
	if err := tenant.CheckID(t); err != nil {
		return err
	}
	l.forget(t)
	err := l.js.DeleteStream(ctx, streamName(t))
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}
