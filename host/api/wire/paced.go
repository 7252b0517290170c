package wire

import (
	"bufio"
	"io"
	"sync"

	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// paced hands on what is written to it a piece at a time, and calls look after each: whoever takes a piece may have let others work
// meanwhile. All goes through memory of its own, so that what was written may be let go even where a connection has a write of HTTP/2
// under way that has failed for its caller. An error stays.
type paced struct {
	*bufio.Writer

	look func()
}

var pacers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, pieces.Size) }}

func newPaced(dst io.Writer, look func()) *paced {
	w := pacers.Get().(*bufio.Writer) //nolint:errcheck,forcetypeassert // the pool has no others
	w.Reset(dst)
	return &paced{w, look}
}

// Write implements io.Writer.
func (w *paced) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if w.Available() == 0 {
			err = w.pass()
			continue
		}
		var took int
		took, err = w.Writer.Write(p[n:min(len(p), n+w.Available())])
		n += took
	}
	return n, err //nolint:wrapcheck // it is the connection's
}

// room makes room for n bytes in the buffer, if it is as large as that.
func (w *paced) room(n int) {
	if w.Available() < n {
		_ = w.pass() // it stays
	}
}

// pass hands on what there is.
func (w *paced) pass() error {
	err := w.Flush()
	w.look()
	return err //nolint:wrapcheck // it is the connection's
}

// WriteString implements io.StringWriter.
func (w *paced) WriteString(s string) (int, error) { return w.Write(value.BytesOf(s)) }

// finish hands on the rest. The writer is not to be used any more.
func (w *paced) finish() error {
	if err := w.Flush(); err != nil {
		return err //nolint:wrapcheck // it is the connection's
	}
	w.Reset(nil)
	pacers.Put(w.Writer)
	return nil
}

// chunks keeps what is written to it, in pieces that are never moved.
type chunks struct {
	size  int64
	parts [][]byte
}

// Write implements io.Writer.
func (c *chunks) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	for rest := p; len(rest) > 0; {
		last := len(c.parts) - 1
		if last < 0 || len(c.parts[last]) == pieces.Size {
			c.parts = append(c.parts, make([]byte, 0, pieces.Size))
			last++
		}
		n := min(pieces.Size-len(c.parts[last]), len(rest))
		c.parts[last] = append(c.parts[last], rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

// writeTo writes all to w.
func (c *chunks) writeTo(w io.Writer) error {
	for _, part := range c.parts {
		if _, err := w.Write(part); err != nil {
			return err //nolint:wrapcheck // it is the connection's
		}
	}
	return nil
}
