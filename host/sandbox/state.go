package sandbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/tandem-serve/tandem/host/background"
)

// callState is everything that belongs to one entry of a guest: a call, or a step of its start. It is used by the
// goroutine that runs the guest.
type callState struct {
	services  Services
	config    []byte // the configuration, for config_get
	requestID uint64
	deadline  time.Time
	host      *Host
	turn      turn

	maxFuel uint64
	used    uint64 // fuel of the slices that have ended
	slice   uint64 // fuel granted for the slice that runs
	told    uint64 // fuel that Services.Spend knows of
	toldCPU time.Duration
	sliceAt time.Time
	grantAt time.Time // when the slice began; zero when what follows is not only work

	fault *CallError // why the host stopped the guest, without its place

	log        logState
	records    int
	recordB    int
	maxRecords int
	maxRecordB int
	metrics    int
	maxOutput  int64
	rng        *rand.ChaCha8
	skew       time.Duration // how far this guest's clock was moved ahead
	handles    handles
	models     modelState

	binding binding
	bounds  []bound
	request int64 // bytes of the request
}

// clear makes s ready for another call, and keeps the memory of what cannot hold on to anything.
func (s *callState) clear() {
	s.handles.reset()
	s.models.end()
	*s = callState{
		turn:    turn{ready: s.turn.ready},
		handles: s.handles, binding: s.binding, bounds: s.bounds[:0],
		log: logState{partial: [2][]byte{s.log.partial[0][:0], s.log.partial[1][:0]}},
	}
}

const (
	// quantum is the most fuel of one slice: at most 0.2 ms of work, unless instructions wait for memory.
	quantum = 1_000_000
	// minQuantum is the least: 1,000 accesses to pages that were not there take some 3 ms.
	minQuantum = 2_000
)

// instanceKey finds the instance in a guest's context.
type instanceKey struct{}

// instanceOf returns the instance on whose behalf a host function was called.
func instanceOf(ctx context.Context) *instance {
	in, _ := ctx.Value(instanceKey{}).(*instance)
	return in
}

// unwind ends the guest. It does not return. wazero turns the panic into the error of the call.
func unwind(code uint32) {
	panic(sys.NewExitError(code)) //nolint:forbidigo // the only way in which wazero lets a host function end its guest
}

// stop ends the guest with a fault of the host's making. It does not return.
func (s *callState) stop(k Kind, text string, cause error) {
	s.fault = &CallError{Kind: k, Text: text, Cause: cause}
	unwind(1)
}

// checkEnd ends the guest when the call is over.
func (s *callState) checkEnd(ctx context.Context, now time.Time) {
	if err := context.Cause(ctx); err != nil {
		s.stopContext(ctx.Err(), err)
	}
	if !now.Before(s.deadline) {
		s.stop(KindDeadline, "the call ran out of time", nil)
	}
	if s.host.closing.Load() {
		s.stop(KindClosed, "the sandbox is closing", nil)
	}
	if s.maxFuel > 0 && s.used >= s.maxFuel {
		s.stop(KindQuota, "the call used its fuel", nil)
	}
}

// end ends the guest, whose call is over. It does not return.
func (s *callState) end(ctx context.Context) {
	s.fault = s.outOfTime(ctx)
	unwind(1)
}

// outOfTime says why a guest that waited for its turn did not get it.
func (s *callState) outOfTime(ctx context.Context) *CallError {
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return &CallError{Kind: KindCanceled, Text: "the caller went away", Cause: context.Cause(ctx)}
	}
	return &CallError{Kind: KindDeadline, Text: "the call ran out of time", Cause: context.Cause(ctx)}
}

// aside runs f, which waits for something else than a core, without the guest's turn.
func (s *callState) aside(ctx context.Context, f func()) {
	s.host.turns.leave(&s.turn, time.Now())
	s.grantAt = time.Time{}
	background.Rest(ctx)
	f()
	if !s.enter(ctx) {
		s.end(ctx)
	}
}

func (s *callState) stopContext(err, cause error) {
	if err == context.DeadlineExceeded { //nolint:errorlint // contexts return the value itself
		s.stop(KindDeadline, "the call ran out of time", cause)
	}
	s.stop(KindCanceled, "the caller went away", cause)
}

// serviceContext returns a context for a service: it ends with the call, also when the call's own has no deadline, and
// when the host closes.
func (s *callState) serviceContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithDeadline(ctx, s.deadline)
	remove := s.host.cancels.add(cancel)
	return ctx, func() {
		remove()
		cancel()
	}
}

// cancels are the functions that end what runs in services.
type cancels struct {
	mu     sync.Mutex // guards the following
	next   uint64
	fns    map[uint64]context.CancelFunc
	closed bool
}

// add registers fn, which close calls. The function that it returns takes fn out.
func (c *cancels) add(fn context.CancelFunc) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		fn()
		return func() {}
	}
	if c.fns == nil {
		c.fns = map[uint64]context.CancelFunc{}
	}
	c.next++
	n := c.next
	c.fns[n] = fn
	return func() {
		c.mu.Lock()
		delete(c.fns, n)
		c.mu.Unlock()
	}
}

func (c *cancels) close() {
	c.mu.Lock()
	c.closed = true
	fns := c.fns
	c.fns = nil
	c.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
}

// outOfFuel is the fault of a call that Services.Spend stopped.
func (s *callState) outOfFuel(cause error) *CallError {
	return &CallError{Kind: KindQuota, Text: "the tenant used its fuel", Cause: cause}
}

// tell passes on what was used until now and since the last time.
func (s *callState) tell(now time.Time) error {
	cpu := s.turn.used
	if s.turn.has {
		cpu += max(now.Sub(s.turn.since), 0)
	}
	fuel, spent := s.used-s.told, cpu-s.toldCPU
	if s.services.Spend == nil || fuel == 0 && spent == 0 {
		return nil
	}
	s.told, s.toldCPU = s.used, cpu
	return s.services.Spend(fuel, spent)
}
