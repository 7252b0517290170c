package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/internal/pieces"
	"github.com/tandem-serve/tandem/runners"
)

var (
	errRetired   = errors.New("the worker is being replaced")
	errDead      = errors.New("the worker ended")
	errAbandoned = errors.New("the run goes on after its end")
)

// slot is the host's side of one call at a time.
type slot struct {
	p     *process
	i     uint32
	open  bool // the worker knows it
	seq   uint32
	block int64 // where the message lies; -1 before the first
	room  int   // of it, in bytes
	words []uint64
	reply reply

	ended     atomic.Bool      // the caller's context is done
	cancelled chan struct{}    // has a token when cancel has run
	onEnd     func()           // cancel, bound once
	model     *Model           // that runs; written under p.mu
	lingers   bool             // its caller has gone; under p.mu
	observer  runners.Observer // of the run; nil for none
	in        []int64          // held blocks of inputs
	out       []room           // of outputs
}

// room is memory for one output.
type room struct {
	how   uint8
	at    int64 // -1: none
	size  int64
	shape []int64 // that is expected, unless how is howAdopt
}

func newSlot(p *process, i uint32) *slot {
	s := &slot{p: p, i: i, block: -1, cancelled: make(chan struct{}, 1)}
	s.onEnd = s.cancel
	return s
}

// message returns the message's words, room for n at least.
func (s *slot) message(n int) ([]uint64, error) {
	if 8*n > s.room {
		at, ok := s.p.shm.take(8 * n)
		if !ok {
			return nil, s.p.full(8 * n)
		}
		if s.block >= 0 {
			s.p.shm.drop(s.block)
		}
		s.block, s.room = at, 8*n
		*s.p.slots.message(s.i) = uint64(at)
		atomic.StoreUint32(s.p.slots.word(s.i, messageSize), uint32(s.room))
	}
	return wordsOf(s.p.shm.bytes(s.block, s.room)), nil
}

// call hands the message to the worker and waits for its answer, or until the caller's context has been done for a while, which
// is errAbandoned: the worker goes on with it.
func (s *slot) call(ctx context.Context) error {
	s.seq = (s.seq + 1) &^ prodded
	s.ended.Store(false)
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, s.onEnd)
	}
	atomic.StoreUint32(s.p.slots.word(s.i, callWord), s.seq)
	s.p.bell.ring(s.i)
	err := s.await(s.p.g.pool.config.EndGrace)
	if !stop() {
		<-s.cancelled
	}
	return err
}

// await waits until the call is answered. grace is how long it goes on once the context is done, from then.
func (s *slot) await(grace time.Duration) error {
	word := s.p.slots.word(s.i, replyWord)
	var until time.Time
	var limit time.Duration
	for {
		was := atomic.LoadUint32(word)
		switch {
		case was&^prodded == s.seq:
			return nil
		case s.p.dead.Load():
			return errDead
		case s.ended.Load():
			if until.IsZero() {
				until = time.Now().Add(grace)
			}
			if limit = time.Until(until); limit <= 0 {
				return errAbandoned
			}
		}
		s.p.bell.wait(s.i, was, limit)
	}
}

// prod makes await look around.
func (s *slot) prod() {
	atomic.OrUint32(s.p.slots.word(s.i, replyWord), prodded)
	s.p.bell.wake(s.i)
}

// cancel asks the worker to end the call.
func (s *slot) cancel() {
	s.ended.Store(true)
	_ = s.p.link.send(frame{kind: kindCancel, a: s.i, b: s.seq}, nil) // when it fails the worker is gone, which ends the call too
	s.prod()
	s.cancelled <- struct{}{}
}

// answer reads the reply to a run of as many outputs as there are.
func (s *slot) answer(outputs int) error {
	shared := wordsOf(s.p.shm.bytes(s.block, s.room))
	if len(s.words) < len(shared) {
		s.words = make([]uint64, len(shared))
	}
	n := copy(s.words, shared) // what is read twice may change in between
	if err := readReply(s.words[:n], outputs, &s.reply); err != nil {
		return err
	}
	return s.reply.err
}

// release gives all that the call had back, and the slot.
func (s *slot) release() {
	for _, at := range s.in {
		s.p.shm.drop(at)
	}
	s.in = s.in[:0]
	for i := range s.out {
		if s.out[i].at >= 0 {
			s.p.shm.drop(s.out[i].at)
			s.out[i].at = -1
		}
	}
	s.p.put(s)
}

// lend returns where the worker finds t's data: where it lies, when that is shared memory, else in a copy.
func (s *slot) lend(t *runners.Tensor) (at int64, err error) {
	if len(t.Data) == 0 {
		return 0, nil
	}
	shm := s.p.shm
	at, shared := shm.hold(t.Data)
	if !shared {
		var ok bool
		if at, ok = shm.take(len(t.Data)); !ok {
			return 0, s.p.full(len(t.Data))
		}
		pieces.Copy(shm.bytes(at, len(t.Data)), t.Data)
		s.copied(len(t.Data))
	}
	s.in = append(s.in, at)
	return at, nil
}

// copied counts what the host copied into or out of shared memory for the run.
func (s *slot) copied(n int) {
	s.p.g.pool.copied.Add(uint64(n))
	if s.observer != nil {
		s.observer.Copied(n)
	}
}
