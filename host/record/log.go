package record

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Log appends and lists records. Its methods may overlap.
type Log struct {
	cfg  Config
	conn *catalog.Conn
	js   jetstream.JetStream
	// maxMessage is the largest message that is made of several records, in bytes.
	maxMessage int
	// maxScan is the most messages that one List reads.
	maxScan int

	// queue is what waits to be written. Only write receives from it.
	queue chan *Pending
	// closing is closed when Close begins, and done when the writer has ended.
	closing chan struct{}
	done    chan struct{}
	// stop ends the writer at once.
	stop context.CancelFunc
	once sync.Once

	// senders counts appends between their look at closing and their send.
	senders sync.WaitGroup

	// mu guards the following.
	mu      sync.Mutex
	closed  bool
	streams map[tenant.ID]struct{} // those that were made or set by this Log
}

// Pending is a record on its way to the disk.
type Pending struct {
	tenant tenant.ID
	record Record
	done   chan struct{}
	err    error // set before done is closed
}

// Wait returns nil once the record is durable, or why it is not. When ctx ends first, the record may still be written.
func (p *Pending) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pending) finish(err error) {
	p.err = err
	close(p.done)
}

// Open returns a Log over the catalog's connection. Close it before the catalog.
func Open(ctx context.Context, conn *catalog.Conn, cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	nc := conn.JetStream().Conn()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(writeTime))
	if err != nil {
		return nil, fmt.Errorf("open record log: %w", err)
	}
	// The writer outlives the call, but keeps what ctx carries.
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Log{
		cfg: cfg, conn: conn, js: js, maxMessage: int(min(maxMessageBytes, nc.MaxPayload()*3/4)),
		maxScan: maxScan, queue: make(chan *Pending, cfg.MaxQueued),
		closing: make(chan struct{}), done: make(chan struct{}), stop: stop, streams: make(map[tenant.ID]struct{}),
	}
	go func() {
		defer close(l.done)
		l.write(run)
	}()
	return l, nil
}

// Close writes what is queued, until ctx is done, and ends the log. What is not written by then gets [ErrClosed].
func (l *Log) Close(ctx context.Context) error {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		close(l.closing)
		l.mu.Unlock()
		l.senders.Wait()
		close(l.queue)
	})
	defer l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		l.stop()
		<-l.done
		return fmt.Errorf("write the last records: %w", ctx.Err())
	}
}

// Start queues a record and returns at once, unless the queue is full: then it waits for room or ctx. The record counts
// only when the Pending says so. It keeps r.Doc until then.
//
// Errors: [ErrInvalid], tenant.ErrName, [ErrTooLarge], [ErrClosed], and the context's.
func (l *Log) Start(ctx context.Context, t tenant.ID, r Record) (*Pending, error) {
	if err := l.cfg.check(t, r); err != nil {
		return nil, err
	}
	if r.At.IsZero() {
		r.At = l.cfg.Now()
	}
	r.At = r.At.UTC()
	if !l.enter() {
		return nil, ErrClosed
	}
	defer l.senders.Done()
	p := &Pending{tenant: t, record: r, done: make(chan struct{})}
	select {
	case l.queue <- p:
		return p, nil
	case <-l.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enter counts a sender, unless the log is closed.
func (l *Log) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.senders.Add(1)
	return true
}

// Append writes a record and returns once it is durable. Errors are those of [Log.Start], [ErrUnavailable] and
// [ErrNoSpace].
func (l *Log) Append(ctx context.Context, t tenant.ID, r Record) error {
	p, err := l.Start(ctx, t, r)
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Queued returns how many records wait to be written, for a metric. The most is [Config.MaxQueued].
func (l *Log) Queued() int { return len(l.queue) }
