package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-serve/tandem/runners"
)

// runParts runs a request of more rows than one run may have in parts, and puts their outputs together. A few parts wait or
// run at a time, so that a request of any size takes its turns like others and does not fill the queue.
func (b *Batcher) runParts(ctx context.Context, in, out []runners.Tensor, rows int) error {
	ctx, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	most := 2 * b.concurrency
	b.mu.Unlock()
	p := parts{b: b, ctx: ctx, in: in, rows: rows, outputs: len(out), most: most, account: accountOf(ctx)}
	err := p.run()
	cancel()
	p.abandon()
	defer p.release()
	if err != nil {
		return err
	}
	return p.assemble(b.inner.Signature().Outputs, out)
}

// parts is a large request on its way.
type parts struct {
	b       *Batcher
	ctx     context.Context //nolint:containedctx // it lives as long as the request
	in      []runners.Tensor
	rows    int
	outputs int
	account *Account
	most    int       // parts at a time
	next    int       // the first row that is not in a part yet
	pending []*member // in order
	done    []*member // in order
}

func (p *parts) run() error {
	for p.next < p.rows || len(p.pending) > 0 {
		if err := p.fill(); err != nil {
			return err
		}
		m := p.pending[0]
		if err := p.b.wait(m, p.account); err != nil {
			p.pending = p.pending[1:]
			return err
		}
		p.pending = p.pending[1:]
		p.done = append(p.done, m)
		if err := checkRows(p.b.inner.Signature().Outputs, m.out, m.rows); err != nil {
			return fmt.Errorf("%w: %w", runners.ErrRun, err)
		}
	}
	return nil
}

// fill puts parts into the queue. When there is no room it waits for one of its own to be done, if it has any there.
func (p *parts) fill() error {
	for len(p.pending) < p.most && p.next < p.rows {
		rows := min(p.b.config.MaxRows, p.rows-p.next)
		in := make([]runners.Tensor, len(p.in))
		for i := range in {
			in[i] = rowsOfTensor(&p.in[i], p.next, rows)
		}
		m := newMember(p.ctx, in, make([]runners.Tensor, p.outputs), rows)
		if err := p.b.enqueue(m); err != nil {
			if errors.Is(err, runners.ErrOverloaded) && len(p.pending) > 0 {
				return nil
			}
			return err
		}
		p.pending = append(p.pending, m)
		p.next += rows
	}
	return nil
}

// abandon waits until the parts that are left use no memory any more; their context has ended.
func (p *parts) abandon() {
	for _, m := range p.pending {
		if p.b.wait(m, p.account) == nil {
			p.done = append(p.done, m)
		}
	}
}

func (p *parts) release() {
	for _, m := range p.done {
		for i := range m.out {
			m.out[i].Release()
		}
	}
}

// assemble puts the outputs of all parts together.
func (p *parts) assemble(ports []runners.Port, out []runners.Tensor) error {
	whole := make([]runners.Tensor, len(out))
	for i := range out {
		pieces := make([]*runners.Tensor, len(p.done))
		length := 0
		for j, m := range p.done {
			pieces[j] = &m.out[i]
			length += len(m.out[i].Data)
			if !slices.Equal(m.out[i].Shape[1:], pieces[0].Shape[1:]) {
				return fmt.Errorf("output %q: %w: parts of the request gave rows of the shapes %v and %v", ports[i].Name, runners.ErrRun,
					pieces[0].Shape[1:], m.out[i].Shape[1:])
			}
		}
		data, err := join(make([]byte, length), pieces)
		if err != nil {
			return fmt.Errorf("output %q: %w", ports[i].Name, err)
		}
		shape := append([]int64{int64(p.rows)}, pieces[0].Shape[1:]...)
		whole[i] = runners.Tensor{DType: pieces[0].DType, Shape: shape, Data: data}
	}
	p.account.add(Account{BytesCopied: bytesOf(whole)})
	for i := range out {
		if err := out[i].Deliver(whole[i]); err != nil {
			return fmt.Errorf("output %q: %w", ports[i].Name, err)
		}
	}
	return nil
}
