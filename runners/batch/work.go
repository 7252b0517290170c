package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-serve/tandem/runners"
)

// expectLocked notes when a run that begins now should end.
func (b *Batcher) expectLocked(shape string, rows int) {
	b.endsAt = append(b.endsAt, time.Now().Add(b.cost.foretell(shape, rows)))
}

// runInline runs m on its caller's goroutine; when others came meanwhile, a worker takes over.
func (b *Batcher) runInline(m *member) error {
	start := time.Now()
	err := b.call(m.ctx, m.in, m.out)
	done := Batch{Rows: m.rows, Requests: 1, Shape: m.shape, Reason: Idle, Took: time.Since(start), Err: err}
	b.giveSlot()
	b.mu.Lock()
	if b.apart != "" {
		done.Reason = Single
	}
	m.account.ran(&done)
	b.recordLocked(done)
	b.endedLocked()
	b.running--
	b.dispatchLocked()
	b.checkDrainedLocked()
	b.mu.Unlock()
	b.tell(done)
	return err
}

// call runs the model. What it panics with is an error like others: whoever waits behind it must not hang.
func (b *Batcher) call(ctx context.Context, in, out []runners.Tensor) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: it panicked: %v", runners.ErrRun, v)
		}
	}()
	return b.inner.Run(ctx, in, out)
}

// dispatchLocked starts a worker when there is something to run and room to run it.
func (b *Batcher) dispatchLocked() {
	if b.readyLocked() && b.beginLocked() {
		b.workers.Go(b.work)
	}
}

// work runs batches as long as there are any and it may. It begins with a run's slot in hand.
func (b *Batcher) work() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for more := true; more; {
		members, done := b.takeLocked()
		if len(members) > 0 {
			b.expectLocked(done.Shape, done.Rows)
			b.dispatchLocked() // for what is left, if more may run at once
		}
		b.mu.Unlock()
		b.fly(members, done)
		b.giveSlot()
		b.mu.Lock()
		if len(members) > 0 {
			b.endedLocked()
		}
		b.running--
		more = b.readyLocked() && b.beginLocked()
	}
	b.checkDrainedLocked()
}

// takeLocked forms the next batch; none when nothing is ready.
func (b *Batcher) takeLocked() ([]*member, Batch) {
	if !b.readyLocked() {
		return nil, Batch{}
	}
	now := time.Now()
	timeUp := b.config.MaxDelay > 0 && !now.Before(b.hurry.by)
	members := b.queue.take(b.config.MaxRows, b.apart == "")
	done := Batch{Requests: len(members), Shape: members[0].shape}
	for _, m := range members {
		m.state = taken
		done.Rows += m.rows
		m.account.Queued = now.Sub(m.since)
		done.Waited = max(done.Waited, m.account.Queued)
	}
	switch {
	case b.apart != "", done.Rows == 0:
		done.Reason = Single
	case done.Rows >= b.config.MaxRows || b.queue.shapes[done.Shape].members > 0:
		done.Reason = Full
	case b.closed:
		done.Reason = Closing
	case timeUp:
		done.Reason = b.hurry.reason
	case b.queue.waiting > 0:
		done.Reason = Shape
	}
	if b.config.MaxDelay > 0 {
		b.rehurryLocked()
	}
	return members, done
}

// fly runs members, of one shape, together, and sees to it that each has its answer or has left when it returns.
func (b *Batcher) fly(members []*member, done Batch) {
	b.mu.Lock()
	members, f := b.boardLocked(members)
	b.mu.Unlock()
	switch len(members) {
	case 0:
	case 1:
		b.flyAlone(members[0], done)
	default:
		b.flyTogether(members, f, done)
	}
}

// boardLocked drops those who left or are late and readies the others.
func (b *Batcher) boardLocked(members []*member) ([]*member, *flight) {
	f := &flight{gathered: make(chan struct{})}
	var aboard []*member
	for _, m := range members {
		switch err := m.ctx.Err(); {
		case m.left || m.state == gone:
		case err != nil:
			m.state = gone
			b.stats.Left++
			m.finish(fmt.Errorf("run model: %w", err))
		default:
			m.state, m.flight = gathering, f
			aboard = append(aboard, m)
		}
	}
	f.live = len(aboard)
	if len(aboard) == 1 {
		aboard[0].state = alone
	}
	return aboard, f
}

// flyAlone runs one member over its caller's memory.
func (b *Batcher) flyAlone(m *member, done Batch) {
	start := time.Now()
	err := b.call(m.ctx, m.in, m.out)
	done.Rows, done.Requests, done.Took, done.Err = m.rows, 1, time.Since(start), err
	m.account.ran(&done)
	b.mu.Lock()
	b.recordLocked(done)
	m.state = gone
	b.mu.Unlock()
	m.finish(err)
	b.tell(done)
}

// flyTogether runs several members over a copy of their rows.
func (b *Batcher) flyTogether(members []*member, f *flight, done Batch) {
	load, err := b.gather(members)
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].ctx))
	defer cancel()
	b.mu.Lock()
	for _, m := range members {
		m.state = running
	}
	f.cancel = cancel
	deserted := f.live == 0
	b.stats.BytesCopied += load.bytes
	b.mu.Unlock()
	close(f.gathered)
	if deserted {
		b.putBack(load)
		return
	}
	out := make([]runners.Tensor, len(members[0].out))
	start := time.Now()
	if err == nil {
		err = b.call(ctx, load.in, out)
	}
	b.putBack(load)
	done.Rows, done.Requests, done.Took, done.Err = load.rows, len(members), time.Since(start), err
	for _, m := range members {
		m.account.ran(&done)
		m.account.BytesCopied += bytesOf(m.in)
	}
	b.mu.Lock()
	b.recordLocked(done)
	b.mu.Unlock()
	b.tell(done)
	switch {
	case err == nil:
		b.land(members, out, load.rows)
	case errors.Is(err, runners.ErrClosed), errors.Is(err, runners.ErrUnavailable), errors.Is(err, runners.ErrOverloaded),
		errors.Is(err, runners.ErrCrashed): // to run what crashed again would only crash more
		b.failAll(members, err)
	default:
		b.retry(members, done)
	}
}

// retry runs what is left of a batch that failed again in halves: whoever is at fault ends up alone.
func (b *Batcher) retry(members []*member, done Batch) {
	done.Reason = Retry
	half := len(members) / 2
	b.fly(members[:half], done)
	b.fly(members[half:], done)
}

// failAll gives every member that still waits the same error.
func (b *Batcher) failAll(members []*member, err error) {
	for _, m := range b.hold(members) {
		m.finish(err)
	}
}

// hold keeps the members that still wait from leaving and returns them: they are to be finished.
func (b *Batcher) hold(members []*member) []*member {
	b.mu.Lock()
	defer b.mu.Unlock()
	var held []*member
	for _, m := range members {
		if m.left {
			continue
		}
		m.state = delivering
		held = append(held, m)
	}
	return held
}

// land parts the outputs of a run among its members, if the model kept their rows apart.
func (b *Batcher) land(members []*member, out []runners.Tensor, rows int) {
	if err := checkRows(b.inner.Signature().Outputs, out, rows); err != nil {
		for i := range out {
			out[i].Release()
		}
		b.mu.Lock()
		b.apart = err.Error()
		b.mu.Unlock()
		for _, m := range members {
			b.fly([]*member{m}, Batch{Shape: m.shape, Reason: Retry})
		}
		return
	}
	b.hold(members)
	shared := share(out)
	copied, from := uint64(0), 0
	for _, m := range members {
		if !m.left { // which hold has settled
			n, err := shared.deliver(b.inner.Signature().Outputs, m.out, from, m.rows)
			copied += n
			m.account.BytesCopied += n
			m.finish(err)
		}
		from += m.rows
	}
	shared.drop()
	b.mu.Lock()
	b.stats.BytesCopied += copied
	b.mu.Unlock()
}

// wait waits for m's answer, or until its context ends and its memory is no longer used. It adds what became of m to account,
// which may be nil.
func (b *Batcher) wait(m *member, account *Account) error {
	select {
	case <-m.done:
		account.add(m.account)
		return m.err
	case <-m.ctx.Done():
	}
	if f := b.leave(m); f == nil {
		<-m.done
		account.add(m.account)
		return m.err
	} else if f.gathered != nil {
		<-f.gathered
	}
	account.add(Account{Queued: time.Since(m.since)})
	return fmt.Errorf("run model: %w", m.ctx.Err())
}

// leave takes m out of wherever it stands. It returns nil when m's answer is about to come, else the flight after whose
// gathering m's memory is free, whose channel may be nil.
func (b *Batcher) leave(m *member) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.state {
	case taken:
		// Its flight has not been readied yet: that will find its context ended.
	case queued:
		b.queue.remove(m)
		m.state = gone
		b.stats.Left++
		if b.config.MaxDelay > 0 {
			b.rehurryLocked()
		}
		b.checkDrainedLocked()
		return &flight{}
	case gathering, running:
		m.left = true
		b.stats.Left++
		f := m.flight
		if f.live--; f.live == 0 && f.cancel != nil {
			b.stats.Deserted++
			f.cancel()
		}
		return f
	case alone, delivering, gone:
	}
	return nil
}
