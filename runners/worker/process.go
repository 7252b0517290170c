package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/internal/confine"
	"github.com/tandem-serve/tandem/internal/schedclass"
	"github.com/tandem-serve/tandem/runners"
)

const (
	// startTimeout is how long a worker may take until it is ready.
	startTimeout = time.Minute
	// stopTimeout is how long one may take to end once it was asked to.
	stopTimeout = 10 * time.Second
)

// process is one worker process, from its start to its end.
type process struct {
	g        *group
	cmd      *exec.Cmd
	link     *link
	shm      *region
	header   int64 // where the slots lie
	slots    slots
	bell     bell
	version  string
	tokens   chan struct{} // one for each slot in use
	said     *voice
	resident atomic.Int64 // bytes, as it said last
	used     atomic.Int64 // when it started, loaded or ran something last, in Unix nanoseconds
	unheard  atomic.Int64 // pings that it has not answered
	dead     atomic.Bool  // it was waited for: it writes no more
	gone     chan struct{}
	cause    death               // why it ended; set before dead
	suspects map[*Model]struct{} // what was about when it ended; set before gone is closed
	others   sync.WaitGroup      // its start, the slots in use, loads, and goroutines, but for the one that waits for it

	classing sync.Mutex // held while threads are moved; guards class
	class    schedclass.Class

	mu      sync.Mutex // mu guards the following
	all     []*slot
	free    []*slot
	loads   map[uint32]*answer
	lastID  uint32
	retired bool
	vacated bool // retired, and ended when nothing runs in it but what lingers
	killed  *death

	lingering int // slots in use whose callers have gone
}

// death is why a worker ended, or is to.
type death struct {
	asked bool   // it was not needed any more
	model *Model // that is to blame; nil when that is not known
	text  string
}

// answer is what a load or unload waits for.
type answer struct {
	model *Model // that is being loaded; nil for an unload
	came  chan loadReply
}

// spawn starts a worker and waits until it is ready.
func spawn(ctx context.Context, g *group) (*process, error) {
	if err := g.pool.berth(ctx, g.key.Tenant); err != nil {
		return nil, err
	}
	p, err := moor(ctx, g)
	if p == nil {
		g.pool.berths.give(g.key.Tenant)
		return nil, err
	}
	if err != nil {
		p.kill(death{asked: true})
		<-p.gone
		if said := p.said.last(); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return nil, fmt.Errorf("%w: start a worker process: %w", runners.ErrUnavailable, err)
	}
	return p, nil
}

// moor launches a worker that has a berth, which its end gives back, and waits until it is ready. When it comes with an error it
// has to be killed.
func moor(ctx context.Context, g *group) (*process, error) {
	header, ok := g.shm.take(maxSlots * slotBytes)
	if !ok {
		return nil, full(g.shm, maxSlots*slotBytes)
	}
	mem := g.shm.bytes(header, maxSlots*slotBytes)
	clear(mem)
	p := &process{
		g: g, shm: g.shm, header: header, slots: slotsAt(mem), tokens: make(chan struct{}, maxSlots), gone: make(chan struct{}),
		loads: map[uint32]*answer{}, said: &voice{log: g.pool.config.Logger, tenant: g.key.owner()},
	}
	p.others.Add(1) // until there are others: its end waits for them as soon as it is launched
	defer p.others.Done()
	if err := p.launch(ctx); err != nil {
		g.shm.drop(header)
		return nil, fmt.Errorf("%w: start a worker process: %w", runners.ErrUnavailable, err)
	}
	p.touch()
	if err := p.greet(); err != nil {
		return p, err
	}
	p.others.Go(p.read)
	p.others.Go(p.watch)
	return p, nil
}

// launch starts the process.
func (p *process) launch(ctx context.Context) error {
	l, socket, err := pair()
	if err != nil {
		return err
	}
	l.refuse = true
	p.link = l
	config := &p.g.pool.config
	if config.NoFutex || !haveFutex {
		p.bell = newSocketBell(p.slots, l, true)
	} else {
		p.bell = newFutexBell(p.slots, true)
	}
	// Its end is not the context's: it is asked to end, and killed when it does not.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), config.Command[0], config.Command[1:]...) //nolint:gosec // the command is the server's own
	p.cmd.ExtraFiles = []*os.File{socket}
	p.cmd.Env = environment()
	p.cmd.Stderr = p.said
	p.cmd.WaitDelay = time.Second
	ended, err := confine.Start(p.cmd, rightsOf(config, p.g.key))
	if err := errors.Join(err, socket.Close()); err != nil {
		return errors.Join(err, l.close())
	}
	p.reclass()
	p.g.pool.work.also(func() { p.end(<-ended) }) // a start is of the crew
	return nil
}

// greet tells the process what it shares and waits until it is ready.
func (p *process) greet() error {
	config := &p.g.pool.config
	_, socket := p.bell.(*socketBell)
	err := p.link.send(frame{kind: kindHello, file: p.shm.file}, hello{
		Shared: int64(len(p.shm.mem)), Slots: p.header, Futex: !socket, Library: config.Library, Threads: config.Threads,
	})
	if err != nil {
		return err
	}
	if err := p.link.conn.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	f, err := p.link.receive()
	if err != nil {
		return fmt.Errorf("it was not ready: %w", err)
	}
	var r ready
	if err := json.Unmarshal(f.body, &r); f.kind != kindReady || err != nil {
		return errMessage
	}
	if r.Fault != nil {
		return faultOf(r.Fault.Kind, r.Fault.Text)
	}
	p.version = oneLine(r.Version)
	return p.link.conn.SetReadDeadline(time.Time{})
}

// touch notes that it is used.
func (p *process) touch() { p.used.Store(time.Now().UnixNano()) }

func (p *process) pid() int { return p.cmd.Process.Pid }

// usable reports whether runs may be called.
func (p *process) usable() bool {
	if p.dead.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.retired && p.killed == nil
}

// read takes the worker's frames until its socket closes.
func (p *process) read() {
	for {
		f, err := p.link.receive()
		if err != nil {
			p.leftAlone(err)
			return
		}
		if err := p.take(f); err != nil {
			p.kill(death{text: err.Error()})
			return
		}
	}
}

// leftAlone is called when the worker has closed its socket, which it does by ending. One that goes on without is of no use.
func (p *process) leftAlone(err error) {
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		p.kill(death{text: fmt.Sprintf("its socket failed: %v", err)})
	}
}

func (p *process) take(f frame) error {
	switch f.kind {
	case kindRing:
		p.bell.wake(f.a % maxSlots)
	case kindPong:
		var pong pong
		if err := json.Unmarshal(f.body, &pong); err != nil {
			return errMessage
		}
		p.resident.Store(pong.Resident)
		p.unheard.Store(0)
	case kindLoaded, kindUnloaded:
		p.touch()
		p.mu.Lock()
		a := p.loads[f.a]
		delete(p.loads, f.a)
		p.mu.Unlock()
		defer p.endVacated()
		if a == nil {
			return errMessage
		}
		var r loadReply
		if f.kind == kindLoaded {
			if err := json.Unmarshal(f.body, &r); err != nil {
				return errMessage
			}
		}
		a.came <- r
	default:
		return errMessage
	}
	return nil
}

// end notes that the process is gone, and tells everybody who waits for it.
func (p *process) end(err error) {
	p.mu.Lock()
	p.cause = p.causeLocked(err)
	p.suspects = map[*Model]struct{}{}
	busy := map[*slot]bool{}
	for _, s := range p.all {
		busy[s] = true
	}
	for _, s := range p.free {
		delete(busy, s)
	}
	if p.cause.model != nil {
		p.suspects[p.cause.model] = struct{}{}
	} else {
		for s := range busy {
			p.suspects[s.model] = struct{}{}
		}
		for _, a := range p.loads {
			p.suspects[a.model] = struct{}{}
		}
		delete(p.suspects, nil)
	}
	p.dead.Store(true)
	all := p.all
	last := len(busy) == 0
	p.mu.Unlock()
	p.g.ended(p)
	p.g.pool.berths.give(p.g.key.Tenant)
	close(p.gone)
	for _, s := range all {
		s.prod()
	}
	_ = p.link.close() // nobody reads from it any more
	if last {
		p.discard()
	}
	p.others.Wait()
}

// causeLocked says why the process ended.
func (p *process) causeLocked(err error) death {
	var d death
	if p.killed != nil {
		d = *p.killed
	}
	if p.retired {
		d.asked = true
	}
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	said := p.said.last()
	if strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory") || strings.Contains(said, "bad_alloc") {
		said += fmt.Sprintf(" (it may have %d MiB; --worker-memory gives more)", p.g.pool.config.Memory>>20)
	}
	for _, text := range []string{d.text, said} {
		if text != "" {
			how += ": " + text
		}
	}
	d.text = how
	return d
}

// crashed returns the error of a run of m that the worker's end cut off.
func (p *process) crashed(m *Model) error {
	return fmt.Errorf("%w: model %s: its worker ended (%s); the next request starts another", runners.ErrCrashed, m.label, p.cause.text)
}

// kill ends the process at once, for the reason of the first who did so.
func (p *process) kill(why death) {
	p.mu.Lock()
	if p.killed == nil {
		p.killed = &why
	}
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // it may have ended already
}

// retire ends the process when nothing runs or loads in it, and reports whether it did.
func (p *process) retire() bool {
	p.mu.Lock()
	idle := len(p.free) == len(p.all) && len(p.loads) == 0 && !p.retired
	if idle {
		p.retired = true
	}
	p.mu.Unlock()
	if idle {
		_ = p.link.conn.CloseWrite() // the worker ends when it reads the end
	}
	return idle
}

// dismiss ends the process whatever runs in it.
func (p *process) dismiss() {
	if !p.retire() {
		p.kill(death{asked: true, text: "the server is stopping"})
	}
}

// watch sends heartbeats, and sees to the worker's end when it does not answer, is not needed, or has grown.
func (p *process) watch() {
	config := &p.g.pool.config
	tick := time.NewTicker(min(config.Heartbeat, config.IdleStop))
	defer tick.Stop()
	for {
		select {
		case <-p.gone:
			return
		case <-tick.C:
		}
		if p.unheard.Add(1) > missedPings {
			p.kill(death{text: fmt.Sprintf("it did not answer %d heartbeats", missedPings)})
			continue
		}
		_ = p.link.send(frame{kind: kindPing}, nil) // one that cannot be sent is not answered
		p.shm.trim()
		since, idle := p.g.idleSince()
		switch {
		case idle && time.Since(since) >= config.IdleStop && p.g.dissolve():
			p.dismiss()
			defer p.shm.close() // when it is gone
		case p.resident.Load() > config.Recycle && p.retire():
			p.g.pool.recycled.Add(1)
			config.Logger.Info("worker replaced: it had grown", slog.String("tenant", p.g.key.owner()), slog.Int64("resident", p.resident.Load()))
			p.g.pool.work.also(func() { p.g.reload(p.g.pool.root) })
		}
		p.overdue()
	}
}

// overdue kills a worker that was asked to end and did not.
func (p *process) overdue() {
	p.mu.Lock()
	asked := p.retired && !p.vacated
	p.mu.Unlock()
	if !asked {
		return
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		p.kill(death{asked: true})
	}
}

// discard gives the slots' memory back, when the process is gone and none is in use.
func (p *process) discard() {
	for _, s := range p.all {
		if s.block >= 0 {
			p.shm.drop(s.block)
		}
	}
	p.shm.drop(p.header)
}

// full is the error of a region without room for size bytes.
func full(shm *region, size int) error {
	if int64(size) > int64(shm.state.n)*page {
		return fmt.Errorf("%w: a tensor of %d MiB is more than a worker's shared memory of %d MiB", runners.ErrShape, size>>20, shm.state.n*page>>20)
	}
	return fmt.Errorf("%w: no room for %d bytes in the worker's shared memory: %d of %d MiB are in use", runners.ErrOverloaded,
		size, shm.usedBytes()>>20, shm.state.n*page>>20)
}

func (p *process) full(size int) error { return full(p.shm, size) }
