package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// seat is the worker's side of a slot. One goroutine, and so one thread, serves it.
type seat struct {
	s     *servant
	i     uint32
	parts []part // of the request, the inputs, then the outputs
	in    []runners.Tensor
	out   []runners.Tensor // those that are held keep their memory
	reply []part

	mu      sync.Mutex // mu guards the following
	running uint32     // the call that runs
	ended   uint32     // the last call that was cancelled
	stop    context.CancelFunc
}

func newSeat(s *servant, i uint32) *seat { return &seat{s: s, i: i} }

// serve answers calls as long as the process lasts.
func (t *seat) serve(ctx context.Context) {
	call, reply := t.s.slots.word(t.i, callWord), t.s.slots.word(t.i, replyWord)
	last := uint32(0)
	for {
		now := atomic.LoadUint32(call)
		if now == last {
			t.s.bell.wait(t.i, last, 0)
			continue
		}
		last = now
		t.answer(ctx, now)
		atomic.StoreUint32(reply, now)
		t.s.bell.ring(t.i)
	}
}

// cancel ends the call if it runs, or as soon as it does.
func (t *seat) cancel(call uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = call
	if t.running == call && t.stop != nil {
		t.stop()
	}
}

func (t *seat) begin(ctx context.Context, call uint32) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running, t.stop = call, stop
	if t.ended == call {
		stop()
	}
	return ctx, stop
}

// answer does what the message asks and writes the reply over it.
func (t *seat) answer(ctx context.Context, call uint32) {
	at := atomic.LoadUint64(t.s.slots.message(t.i))
	size := atomic.LoadUint32(t.s.slots.word(t.i, messageSize))
	words := wordsOf(t.s.mem[at : at+uint64(size)])
	r := reader{words: words}
	op, id, inputs, outputs := r.get(), uint32(r.get()), int(r.get()), int(r.get())
	for len(t.parts) < inputs+outputs {
		t.parts = append(t.parts, part{})
	}
	parts := t.parts[:inputs+outputs]
	for i := range parts {
		r.part(&parts[i])
	}
	if r.short {
		writeFault(words, errMessage)
		return
	}
	switch op {
	case opCollect:
		t.collect(parts)
		writeReply(words, t.reply, false)
		return
	case opDrop:
		t.drop()
		writeReply(words, nil, false)
		return
	}
	t.drop()
	ctx, stop := t.begin(ctx, call)
	varies, err := t.run(ctx, t.s.model(id), parts[:inputs], parts[inputs:])
	stop()
	if err != nil {
		writeFault(words, err)
		return
	}
	t.settle(parts[inputs:])
	writeReply(words, t.reply, varies)
}

// tensor returns the part's memory as a tensor.
func (t *seat) tensor(p *part) runners.Tensor {
	return runners.Tensor{DType: p.dtype, Shape: p.shape, Data: t.s.mem[p.offset : p.offset+p.size : p.offset+p.size]}
}

// run runs the model over the parts. When outputs come in other shapes than was guessed, it runs again without the guess.
func (t *seat) run(ctx context.Context, m *onnx.Model, in, out []part) (varies bool, err error) {
	if m == nil {
		return false, fmt.Errorf("%w: it is not loaded here", runners.ErrClosed)
	}
	t.in = t.in[:0]
	for i := range in {
		t.in = append(t.in, t.tensor(&in[i]))
	}
	t.out = slices.Grow(t.out[:0], len(out))[:len(out)]
	for {
		guessed := false
		for i := range out {
			t.out[i] = runners.Tensor{}
			if out[i].how != howAdopt {
				t.out[i] = t.tensor(&out[i])
				guessed = guessed || out[i].how == howGuess
			}
		}
		err = m.Run(ctx, t.in, t.out)
		if err == nil {
			return varies, nil
		}
		if !guessed || !errors.Is(err, runners.ErrShape) {
			t.out = t.out[:0]
			return false, err
		}
		varies = true
		for i := range out {
			if out[i].how == howGuess {
				out[i].how = howAdopt
			}
		}
	}
}

// settle copies outputs to where there is room for them, and says of each where it is.
func (t *seat) settle(parts []part) {
	t.reply = slices.Grow(t.reply[:0], len(parts))[:len(parts)]
	for i := range parts {
		o, room := &t.out[i], &parts[i]
		t.reply[i] = part{dtype: o.DType, shape: o.Shape, size: int64(len(o.Data))}
		switch {
		case room.how != howAdopt:
			t.reply[i].how = placed
			*o = runners.Tensor{}
		case int64(len(o.Data)) <= room.size:
			t.place(i, room)
		}
	}
}

// place copies output i into room.
func (t *seat) place(i int, room *part) {
	o := &t.out[i]
	t.reply[i].how = placed
	copy(t.s.mem[room.offset:room.offset+room.size], o.Data)
	o.Release()
}

// collect copies what is held to where the host has made room.
func (t *seat) collect(rooms []part) {
	for i := range min(len(rooms), len(t.reply)) {
		if t.reply[i].how != placed && t.reply[i].size <= rooms[i].size {
			t.place(i, &rooms[i])
		}
	}
}

// drop lets go of what is held.
func (t *seat) drop() {
	for i := range t.out {
		t.out[i].Release()
	}
	t.out = t.out[:0]
}
