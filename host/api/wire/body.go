package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net/http"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/internal/pieces"
	"github.com/tandem-serve/tandem/internal/spare"
)

// body is what connect reads of a request. Large messages are kept from it: its buffers double while they fill, which clears and
// copies megabytes at a stretch (see package pieces), and what they hold is copied again when it is decoded. Such a message is read
// into memory of its own, connect reads one byte in its place, and the codec asks for what that byte stands for. Compressed messages
// are inflated here for the same reason. It belongs to the goroutine of the call.
type body struct {
	io.ReadCloser // the body itself

	length     int64 // of the body; -1 is unknown
	most       int64 // bytes of one message
	compressed bool  // messages may be, with gzip
	exchange   *Exchange

	ready   []byte // what connect reads next
	through int64  // bytes of the body that it reads itself after that
	large   []byte // what the byte that it has read stands for
	taken   []byte // what was so before, and has been decoded
	broken  error  // what reading the body ended with, unless it is io.EOF
	err     error  // what follows after ready
}

// newBody returns what connect reads instead of the body of r, or nil when it may as well read that.
func newBody(r *http.Request, most int64, x *Exchange) *body {
	b := &body{ReadCloser: r.Body, length: r.ContentLength, most: most, exchange: x, compressed: r.Header.Get(x.kind.encoding) == compressor.Name()}
	switch {
	case x.kind.enveloped:
	case r.Method != http.MethodPost:
		return nil
	case b.compressed:
		r.Header.Del(x.kind.encoding) // connect reads what has been inflated
	case b.length >= 0 && b.length <= largeMessage:
		return nil
	}
	return b
}

// take returns the message that the byte stands for that connect has read, or nil when it has read the message itself.
func (b *body) take() []byte {
	if b == nil {
		return nil
	}
	m := b.large
	b.large, b.taken = nil, m
	return m
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for len(b.ready) == 0 && b.through == 0 {
		if b.err != nil {
			return 0, b.err
		}
		if b.exchange.kind.enveloped {
			b.err = b.nextEnvelope()
		} else {
			b.err = b.onlyMessage()
		}
	}
	if len(b.ready) > 0 {
		n := copy(p, b.ready)
		b.ready = b.ready[n:]
		return n, nil
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.through)])
	b.through -= int64(n)
	return n, err //nolint:wrapcheck // connect tells errors of bodies apart
}

// onlyMessage prepares the message that is the whole body.
func (b *body) onlyMessage() error {
	if b.length > b.most {
		return connect.Errorf(connect.CodeResourceExhausted, "message size %d is larger than configured max %d", b.length, b.most)
	}
	m, err := b.message(b.length, b.compressed)
	if err != nil {
		return err
	}
	b.ready = b.standIn(nil, m)
	b.through = math.MaxInt64 // there is no more, which connect finds by itself
	return nil
}

// headBytes is what precedes a message: flags, of which flagCompressed is known here, and the size in network order.
// See https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message, and Connect's Enveloped-Message.
const (
	headBytes      = 5
	flagCompressed = 1
)

// nextEnvelope prepares the next message of a stream.
func (b *body) nextEnvelope() error {
	head := make([]byte, headBytes)
	n, err := io.ReadFull(b.next(headBytes), head)
	if err != nil {
		b.ready = head[:n]
		return b.why(io.EOF)
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	compressed := head[0] == flagCompressed && b.compressed
	large := head[0] == 0 && size > largeMessage
	if size > b.most || !compressed && !large {
		b.ready, b.through = head, size
		return nil
	}
	m, err := b.message(size, compressed)
	if err != nil {
		return err
	}
	head[0] = 0
	b.ready = b.standIn(head, m)
	return nil
}

// standIn returns what connect reads of a message that is preceded by head.
func (b *body) standIn(head, m []byte) []byte {
	if len(m) > largeMessage {
		b.large = m
		m = []byte{0}
	}
	if head == nil {
		return m
	}
	binary.BigEndian.PutUint32(head[1:], uint32(len(m)))
	return append(head, m...)
}

// message reads the message that is in the next size bytes of the body; -1 is all of it.
func (b *body) message(size int64, compressed bool) ([]byte, error) {
	counted := min(b.length, size) // by the door, before anything is read
	m, err := readMessage(b.next(size), counted, b.most, func(last int) {
		b.exchange.look()
		if last < flowing {
			b.exchange.Rest()
		}
	})
	if got := int64(len(m)); err == nil && got < size {
		err = b.why(connect.Errorf(connect.CodeInternal, "protocol error: promised %d bytes in a message, got %d bytes", size, got).WithCause(io.ErrUnexpectedEOF))
	}
	if err != nil || !compressed || len(m) == 0 {
		return m, err
	}
	defer spare.LetGo(m)
	return b.inflated(m)
}

// inflated returns what data is when it is not compressed.
func (b *body) inflated(data []byte) ([]byte, error) {
	b.exchange.look()
	z, err := compressor.Decompress(bytes.NewReader(data))
	if err != nil {
		return nil, connect.Errorf(connect.CodeInvalidArgument, "get decompressor: %s", err).WithCause(err)
	}
	defer z.Close() //nolint:errcheck // it only goes back to its pool
	m, err := readMessage(z, gzipSize(data, b.most), b.most, func(int) { b.exchange.look() })
	if _, is := errors.AsType[*connect.Error](err); err != nil && !is {
		err = connect.Errorf(connect.CodeInvalidArgument, "decompress: %s", err).WithCause(err)
	}
	return m, err
}

// gzipSize returns how large data says that it is when it is not compressed, if that is possible, and -1 otherwise. See RFC 1952, ISIZE:
// the last four bytes. What Deflate makes smaller most becomes a 1032nd of its size, see https://zlib.net/zlib_tech.html.
func gzipSize(data []byte, most int64) int64 {
	if len(data) < 4 {
		return -1
	}
	size := int64(binary.LittleEndian.Uint32(data[len(data)-4:]))
	if size > min(most, 1032*int64(len(data))) {
		return -1
	}
	return size
}

// why returns what is wrong with the body, or err when nothing is.
func (b *body) why(err error) error {
	if b.broken != nil {
		return b.broken
	}
	return err
}

// next returns the next n bytes of the body; -1 is all of it.
func (b *body) next(n int64) io.Reader {
	all := readerFunc(func(p []byte) (int, error) {
		n, err := b.ReadCloser.Read(p)
		if err != nil && !errors.Is(err, io.EOF) {
			b.broken = err
		}
		return n, err //nolint:wrapcheck // connect tells errors of bodies apart
	})
	if n < 0 {
		return all
	}
	return io.LimitReader(all, n)
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// flowing is how many bytes come at once from who sends as fast as they are read: more are there already. Reading those is copying and
// touching memory, not waiting.
const flowing = 16 << 10

// firstRead is what is read of a message before more memory is taken for it.
const firstRead = 16 << 10

// readMessage reads r to its end, at most most bytes, and calls before ahead of each piece with how many bytes the last one had. Unless
// expected bytes of memory have been counted for the caller, memory is taken as bytes come, so that who announces many and sends few
// takes little.
func readMessage(r io.Reader, expected, most int64, before func(last int)) ([]byte, error) {
	m := spare.Room(int(max(expected+1, firstRead))) // one more to find the end
	last := 0
	for {
		before(last)
		n, err := r.Read(m[len(m):min(cap(m), len(m)+pieces.Size)])
		m, last = m[:len(m)+n], n
		switch {
		case int64(len(m)) > most:
			return nil, connect.Errorf(connect.CodeResourceExhausted, "message is larger than configured max %d", most)
		case errors.Is(err, io.EOF):
			return m, nil
		case err != nil:
			return nil, err //nolint:wrapcheck // connect tells errors of bodies apart
		}
		if len(m) == cap(m) {
			full := m
			m = pieces.Append(spare.Room(int(min(2*int64(cap(m)), most+1))), full)
			spare.LetGo(full)
		}
	}
}
