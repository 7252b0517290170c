// Package batch is a runners.Runner that puts the requests of many callers into one run of another runner.
//
// It is work-conserving unless a delay is configured: an idle model never waits, and what queued while it was busy becomes the
// next batch, which takes in whatever has come by the moment it starts. Requests whose shapes agree but for the first dimension
// share a batch; rows are counted, not requests. A request alone runs over its caller's memory, on its caller's goroutine when
// nothing waits; the rows of several are gathered into one buffer, and the results handed out as parts of one output.
//
// Whose turn it is: the highest priority that waits, though a lower one that was passed over eight times goes first; in it the
// tenant that used the model least, in cost and counted from when it last had nothing waiting (deficit round robin with the
// smallest quantum); of its requests the oldest. The rest of the batch is filled in the same order from what fits it. What a
// tenant rides along for is charged like what it leads.
//
// A caller whose context ends leaves at once: its request is taken out of the queue, and a run that nobody waits for any more
// is ended. One bad request does not fail its neighbours: a batch that fails is run again in halves. Results are parted only
// when every output has a row for each that went in; a model that does not keep its rows apart is not batched any more.
//
// Goroutines: one for each run at once while requests wait, none when idle. One lock, of the Batcher; no call is made and no
// tensor copied with it held.
package batch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// Config is how requests are put together. The zero value is a good choice.
type Config struct {
	// MaxRows is the most rows of one run. Larger requests are run in parts. Default 32.
	MaxRows int
	// MaxDelay is how long an idle model waits for more rows after a request came. Default 0: it does not.
	MaxDelay time.Duration
	// MaxQueueRows bounds the rows that wait. A request beyond is refused with runners.ErrOverloaded, or one of the tenant
	// that has most waiting is, when the request's own has less than its share. Default 64 times MaxRows.
	MaxQueueRows int
	// Concurrency is how many runs go on at once; [Batcher.SetConcurrency] changes it. Default 1.
	Concurrency int
	// Slots, when set, has a say in whether one more run may begin.
	Slots Slots
	// Pad are the dimensions that are made longer so that requests of several shapes share a batch. Default none.
	Pad []Pad
	// Buckets are the sizes that padded dimensions are brought to, ascending; longer ones stay as they are. Default powers of
	// two.
	Buckets []int64
	// Cost is what an earlier Batcher of the same model learned, from [Batcher.Cost]. Default nothing.
	Cost Cost
	// OnBatch, when set, is called after each run, from the goroutine that ran it.
	OnBatch func(Batch)
}

func (c Config) withDefaults() Config {
	if c.MaxRows <= 0 {
		c.MaxRows = 32
	}
	if c.MaxQueueRows <= 0 {
		c.MaxQueueRows = 64 * c.MaxRows
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 1
	}
	return c
}

var _ runners.Runner = (*Batcher)(nil)

// Batcher batches the requests to one model. Make it with [New].
type Batcher struct {
	inner   runners.Runner
	memory  runners.Allocator // inner, when it has memory of its own for inputs
	config  Config
	padding []padding
	buffers sync.Pool // of *buffer
	workers sync.WaitGroup
	drained chan struct{} // closed when Close was called and nothing waits or runs any more
	ended   chan struct{} // closed when the inner runner is closed too
	endErr  error         // of the inner runner's Close; set before ended is closed

	mu       sync.Mutex // mu guards the following
	queue    queue
	cost     *model
	stats    Stats // but for what Stats makes anew
	byReason [reasons]uint64
	hurry    hurry
	apart    string      // why requests are not put together; "" when they are
	running  int         // runs in progress
	endsAt   []time.Time // when they are expected to end
	timer    *time.Timer // for the end of a delay
	closed   bool

	concurrency int
	held        bool // the last run that could have begun got no slot
}

// New returns a Batcher of inner's requests. It closes inner when it is closed.
func New(inner runners.Runner, config Config) *Batcher {
	config = config.withDefaults()
	b := &Batcher{inner: inner, config: config, drained: make(chan struct{}), ended: make(chan struct{}), cost: newModel(config.Cost)}
	b.buffers.New = func() any { return new(buffer) }
	b.memory, _ = inner.(runners.Allocator)
	b.queue.cost, b.queue.maxRows = b.cost.marginal, config.MaxRows
	b.concurrency = config.Concurrency
	b.padding = paddingOf(config, inner.Signature())
	b.apart = Apart(inner.Signature())
	if b.apart == "" && config.MaxRows == 1 {
		b.apart = "its most rows are 1"
	}
	return b
}

// Signature returns the model's.
func (b *Batcher) Signature() runners.Signature { return b.inner.Signature() }

// Apart returns why the requests to this model are not put together, "" when they are. It may change once, when the model is
// found not to keep its rows apart.
func (b *Batcher) Apart() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.apart
}

// Run runs the request, alone or with others, as runners.Runner says. It is refused with an error for which errors.Is(err,
// runners.ErrOverloaded) holds when the queue is full, or when the context's deadline cannot be met.
func (b *Batcher) Run(ctx context.Context, in, out []runners.Tensor) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run model: %w", err)
	}
	signature := b.inner.Signature()
	if err := signature.CheckInputs(in); err != nil {
		return err
	}
	if err := signature.CheckOutputs(out); err != nil {
		return err
	}
	if len(b.padding) > 0 {
		return b.runPadded(ctx, in, out)
	}
	return b.run(ctx, in, out)
}

// run runs a request that fits the signature.
func (b *Batcher) run(ctx context.Context, in, out []runners.Tensor) error {
	rows := 1
	if b.Apart() == "" {
		var err error
		if rows, err = rowsOf(b.inner.Signature(), in); err != nil {
			return err
		}
		if rows > b.config.MaxRows {
			return b.runParts(ctx, in, out, rows)
		}
	}
	m := newMember(ctx, in, out, rows)
	account := accountOf(ctx)
	now, err := b.enter(m)
	switch {
	case err != nil:
	case now:
		err = b.runInline(m)
		account.add(m.account)
	default:
		err = b.wait(m, account)
	}
	return err
}

// Close refuses new requests, runs those that wait, and closes the model.
func (b *Batcher) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	if first {
		b.dispatchLocked()
		b.checkDrainedLocked()
	}
	b.mu.Unlock()
	if !first {
		<-b.ended
		return b.endErr
	}
	<-b.drained
	b.workers.Wait()
	b.endErr = b.inner.Close()
	close(b.ended)
	return b.endErr
}

func (b *Batcher) checkDrainedLocked() {
	if !b.closed || b.running > 0 || b.queue.waiting > 0 {
		return
	}
	select {
	case <-b.drained:
	default:
		close(b.drained)
	}
}

// Cost returns what has been learned of the model's running times, to be kept with it.
func (b *Batcher) Cost() Cost {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cost.snapshot()
}
