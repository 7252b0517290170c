package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-serve/tandem/runners"
)

// run runs the model with the number id in slot s, which is given back when it is done with.
func (m *Model) run(ctx context.Context, s *slot, id uint32, in, out []runners.Tensor) error {
	err := m.request(s, id, in, out)
	if err == nil {
		err = s.call(ctx)
	}
	if err == nil {
		err = s.answer(len(out))
	}
	if err == nil {
		err = m.collect(ctx, s, id, in, out)
	}
	switch {
	case errors.Is(err, errAbandoned):
		s.p.g.pool.lingered.Add(1)
		s.p.others.Go(s.linger)
	default:
		defer s.release()
	}
	switch {
	case err == nil:
		return m.deliver(s, out)
	case ctx.Err() != nil:
		return fmt.Errorf("run model: %w", ctx.Err())
	case errors.Is(err, errDead):
		return s.p.crashed(m)
	case errors.Is(err, errMessage):
		s.p.kill(death{model: m, text: err.Error()})
		return fmt.Errorf("%w: model %s: %w", runners.ErrCrashed, m.label, err)
	}
	return err
}

// request writes what is to be run into the slot's message.
func (m *Model) request(s *slot, id uint32, in, out []runners.Tensor) error {
	words, err := s.message(roomFor(in, out))
	if err != nil {
		return err
	}
	w := writer{words: words}
	w.put(opRun)
	w.put(uint64(id))
	w.put(uint64(len(in)))
	w.put(uint64(len(out)))
	for i := range in {
		t := &in[i]
		at, err := s.lend(t)
		if err != nil {
			return err
		}
		w.putPart(&part{dtype: t.DType, shape: t.Shape, offset: at, size: int64(len(t.Data))})
	}
	if err := m.makeRoom(s, in, out); err != nil {
		return err
	}
	for i := range s.out {
		r := &s.out[i]
		w.putPart(&part{dtype: m.signature.Outputs[i].DType, how: r.how, shape: r.shape, offset: max(r.at, 0), size: r.size})
	}
	return nil
}

// makeRoom takes memory for the outputs whose size is known: from the caller, or from a run before on inputs of the same
// shapes.
func (m *Model) makeRoom(s *slot, in, out []runners.Tensor) error {
	guess := m.shapes.find(in)
	s.out = slices.Grow(s.out[:0], len(out))[:len(out)]
	for i := range s.out {
		port := &m.signature.Outputs[i]
		s.out[i] = room{how: howAdopt, at: -1, size: guess.spare(i)}
		r := &s.out[i]
		switch {
		case port.JSON || port.DType == runners.BYTES:
		case out[i].Data != nil:
			r.how, r.shape, r.size = howBound, out[i].Shape, int64(len(out[i].Data))
		case guess.exact():
			r.how, r.shape, r.size = howGuess, guess.shapes[i], guess.sizes[i]
		}
		if r.size == 0 {
			continue
		}
		at, ok := s.p.shm.take(int(r.size))
		if !ok {
			return s.p.full(int(r.size))
		}
		r.at = at
	}
	return nil
}

// placed in part.how tells that an output lies where the request said.
const placed = 1

// collect learns from the reply, and gets the outputs that the worker holds because they had no room.
func (m *Model) collect(ctx context.Context, s *slot, id uint32, in, out []runners.Tensor) error {
	parts := s.reply.parts
	held := false
	for i := range parts {
		p, r := &parts[i], &s.out[i]
		if p.dtype != m.signature.Outputs[i].DType || p.how&placed != 0 && p.size > r.size {
			return errMessage
		}
		if r.how == howBound && (p.how&placed == 0 || p.size != r.size) {
			return errMessage
		}
		held = held || p.how&placed == 0
	}
	m.shapes.learn(in, parts, s.reply.varies)
	if !held {
		return nil
	}
	// Room for what is held; then the worker copies it there.
	words, err := s.message(headWords + len(out)*(partWords+maxRank) + maxReason/8)
	if err != nil {
		return err
	}
	for i := range parts {
		if p, r := &parts[i], &s.out[i]; p.how&placed == 0 {
			if err := s.enlarge(r, p.size); err != nil {
				return err
			}
		}
	}
	w := writer{words: words}
	w.put(opCollect)
	w.put(uint64(id))
	w.put(0)
	w.put(uint64(len(out)))
	for i := range s.out {
		w.putPart(&part{offset: max(s.out[i].at, 0), size: s.out[i].size})
	}
	sizes := make([]int64, len(parts))
	for i := range parts {
		sizes[i] = parts[i].size
	}
	if err := s.call(ctx); err != nil {
		return err
	}
	if err := s.answer(len(out)); err != nil {
		return err
	}
	for i := range sizes {
		if p := &s.reply.parts[i]; p.size != sizes[i] || p.how&placed == 0 || p.dtype != m.signature.Outputs[i].DType {
			return errMessage
		}
	}
	return nil
}

// enlarge gives r room for size bytes.
func (s *slot) enlarge(r *room, size int64) error {
	if r.at >= 0 {
		s.p.shm.drop(r.at)
		r.at = -1
	}
	r.size = size
	if size == 0 {
		return nil
	}
	at, ok := s.p.shm.take(int(size))
	if !ok {
		return s.p.full(int(size))
	}
	r.at = at
	return nil
}

// deliver hands the outputs over, which all lie in their rooms. When one is no good, those before it are taken back.
func (m *Model) deliver(s *slot, out []runners.Tensor) error {
	for i := range out {
		had := out[i].Data != nil
		got, err := s.output(i)
		if err == nil {
			if had {
				s.copied(len(got.Data))
			}
			err = out[i].Deliver(got)
		}
		if err == nil {
			continue
		}
		for j := range i {
			out[j].Release()
		}
		return fmt.Errorf("output %q: %w", m.signature.Outputs[i].Name, err)
	}
	return nil
}

// output returns output i over shared memory, whose room it takes over. Strings are copied out of it: their offsets must not
// change after they were checked.
func (s *slot) output(i int) (runners.Tensor, error) {
	p, r := &s.reply.parts[i], &s.out[i]
	shape := append(make([]int64, 0, len(p.shape)), p.shape...)
	if r.at < 0 {
		return checked(runners.Adopted(p.dtype, shape, []byte{}, nil))
	}
	data := s.p.shm.bytes(r.at, int(p.size))
	if p.dtype == runners.BYTES {
		s.copied(len(data))
		return checked(runners.Adopted(p.dtype, shape, bytes.Clone(data), nil))
	}
	shm, at := s.p.shm, r.at
	r.at = -1
	return runners.Adopted(p.dtype, shape, data, func() { shm.drop(at) }), nil
}

func checked(t runners.Tensor) (runners.Tensor, error) {
	if err := t.Check(); err != nil {
		return runners.Tensor{}, fmt.Errorf("%w: %w", runners.ErrRun, err)
	}
	return t, nil
}
