package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"

	"github.com/tandem-serve/tandem/internal/confine"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// socketFD is the descriptor that a worker finds its socket at.
const socketFD = 3

// Main is the whole work of a worker process: it gives up the rights that it does not need and serves its host until that closes the
// socket. What goes wrong is written to report. It returns the process's exit code.
func Main(ctx context.Context, report io.Writer) int {
	if err := work(ctx, report); err != nil {
		fmt.Fprintln(report, "worker:", err)
		return 1
	}
	return 0
}

func work(ctx context.Context, report io.Writer) error {
	confined, err := confine.Process()
	if err != nil {
		return err
	}
	l, err := newLink(os.NewFile(socketFD, "socket"))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.close() })() // who ends the process by a signal ends its service
	s, err := meet(ctx, l, report, confined)
	if err != nil {
		return err
	}
	return s.serve(ctx)
}

// servant is the worker's side.
type servant struct {
	link    *link
	mem     []byte
	slots   slots
	bell    bell
	runtime *onnx.Runtime

	mu     sync.Mutex // mu guards the following
	models map[uint32]*onnx.Model
	loads  map[uint32]context.CancelFunc
	seats  [maxSlots]*seat
}

// meet receives the host's hello and gets ready.
func meet(ctx context.Context, l *link, report io.Writer, confined bool) (*servant, error) {
	f, err := l.receive()
	if err != nil {
		return nil, fmt.Errorf("no word from the server: %w", err)
	}
	var h hello
	if err := json.Unmarshal(f.body, &h); err != nil || f.kind != kindHello || f.file == nil {
		return nil, errors.Join(errMessage, err)
	}
	mem, err := mapShared(f.file, h.Shared)
	if err = errors.Join(err, f.file.Close()); err != nil {
		return nil, fmt.Errorf("map the shared memory: %w", err)
	}
	s := &servant{
		link: l, mem: mem, slots: slotsAt(mem[h.Slots:]), models: map[uint32]*onnx.Model{}, loads: map[uint32]context.CancelFunc{},
	}
	if h.Futex {
		s.bell = newFutexBell(s.slots, false)
	} else {
		s.bell = newSocketBell(s.slots, l, false)
	}
	logger := slog.New(slog.NewTextHandler(report, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s.runtime, err = onnx.Open(ctx, onnx.Config{Library: h.Library, Threads: h.Threads, Logger: logger})
	if err == nil && confined {
		err = confine.NoPrograms()
	}
	var r ready
	if err != nil {
		r.Fault = &fault{kindOf(err), err.Error()}
	} else {
		r.Version = s.runtime.Version()
	}
	return s, errors.Join(err, l.send(frame{kind: kindReady}, r))
}

// serve does what the host asks until it closes the socket.
func (s *servant) serve(ctx context.Context) error {
	for {
		f, err := s.link.receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listen to the server: %w", err)
		}
		if err := s.take(ctx, f); err != nil {
			return err
		}
	}
}

func (s *servant) take(ctx context.Context, f frame) error {
	switch f.kind {
	case kindOpen:
		s.mu.Lock()
		t := newSeat(s, f.a)
		s.seats[f.a] = t
		s.mu.Unlock()
		go t.serve(ctx) // it ends with the process
	case kindCancel:
		if t := s.seats[f.a]; t != nil { // written by this goroutine only
			t.cancel(f.b)
		}
	case kindRing:
		s.bell.wake(f.a)
	case kindLoad:
		lctx, cancel := context.WithCancel(ctx)
		s.mu.Lock()
		s.loads[f.a] = cancel
		s.mu.Unlock()
		go s.load(lctx, cancel, f) // as long as the load; the host bounds it
	case kindStopLoad:
		s.mu.Lock()
		cancel := s.loads[f.a]
		s.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	case kindUnload:
		go s.unload(f.a) // it waits for runs, which the host bounds
	case kindPing:
		return s.link.send(frame{kind: kindPong}, pong{Resident: resident()})
	default:
		return fmt.Errorf("the server sent a frame of kind %d", f.kind)
	}
	return nil
}

// load loads a model and tells how that went.
func (s *servant) load(ctx context.Context, cancel context.CancelFunc, f frame) {
	defer cancel()
	before := resident()
	m, err := s.open(ctx, f)
	var r loadReply
	if err != nil {
		r.Fault = &fault{kindOf(err), err.Error()}
	} else {
		r.Description = Description{Signature: m.Signature(), Metadata: m.Metadata(), Placement: m.Placement(), Grown: max(resident()-before, 0)}
	}
	s.mu.Lock()
	delete(s.loads, f.a)
	if err == nil {
		s.models[f.a] = m
	}
	s.mu.Unlock()
	_ = s.link.send(frame{kind: kindLoaded, a: f.a}, r) // a host that is gone is noticed where it is read from
}

func (s *servant) open(ctx context.Context, f frame) (*onnx.Model, error) {
	if f.file == nil {
		return nil, errMessage
	}
	var request loadRequest
	if err := json.Unmarshal(f.body, &request); err != nil {
		return nil, errors.Join(errMessage, err, f.file.Close())
	}
	file, err := mapFile(f.file, request.Size)
	if err = errors.Join(err, f.file.Close()); err != nil {
		return nil, fmt.Errorf("%w: map the model's file: %w", runners.ErrRun, err)
	}
	defer unmap(file)
	return s.runtime.Load(ctx, file[:request.Size], request.Options)
}

// unload closes a model and gives its memory back to the system.
func (s *servant) unload(id uint32) {
	s.mu.Lock()
	m := s.models[id]
	delete(s.models, id)
	s.mu.Unlock()
	if m != nil {
		_ = m.Close() // it has no error of its own
		debug.FreeOSMemory()
		s.runtime.Trim()
	}
	_ = s.link.send(frame{kind: kindUnloaded, a: id}, nil) // as in load
}

func (s *servant) model(id uint32) *onnx.Model {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[id]
}
