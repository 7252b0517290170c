package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"
)

// answer is what connect writes an answer to. Large messages are kept from its buffers, as those of a body are: the codec writes one
// byte in place of such a message, and when connect writes that byte the message is encoded to the connection, a piece at a time. What
// is preceded by its size, and has one that is not known before, is encoded into memory first.
type answer struct {
	http.ResponseWriter

	exchange *Exchange
	accepts  string // the encodings that the client takes of an answer that is one message; for streams connect says so

	large  *outgoing // what the byte stands for that connect writes next
	head   []byte    // what precedes it, once that has been written
	broken bool      // a part has been written and the rest cannot be
}

// outgoing is a large message that is to be written.
type outgoing struct {
	size   int64 // in bytes; -1 is not known
	encode func(*paced) error
}

// takesGzip reports whether a client that accepts these encodings has its answers compressed. There are no preferences: see
// https://connectrpc.com/docs/protocol, Unary-Response.
func takesGzip(accept string) bool {
	for name := range strings.FieldsFuncSeq(accept, func(r rune) bool { return r == ',' || r == ' ' }) {
		if name == compressor.Name() {
			return true
		}
	}
	return false
}

// standIn keeps a message until connect writes what dst gets in its place.
func (a *answer) standIn(dst io.Writer, m outgoing) error {
	a.large = &m
	_, err := dst.Write([]byte{0})
	return err //nolint:wrapcheck // connect wraps it
}

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) {
	if a.large == nil {
		return a.ResponseWriter.Write(p) //nolint:wrapcheck // connect wraps it
	}
	if a.exchange.kind.enveloped && a.head == nil {
		a.head = append(a.head, p...)
		return len(p), nil
	}
	large, head := a.large, a.head
	a.large, a.head = nil, nil
	if err := a.send(large, head); err != nil {
		a.broken = true
		return 0, err
	}
	return len(p), nil
}

// send writes a large message, preceded by head if it stands in an envelope.
func (a *answer) send(m *outgoing, head []byte) error {
	compressed := a.compressed()
	switch {
	case a.exchange.kind.enveloped:
		return a.envelope(head, m, compressed)
	case compressed:
		a.Header().Set(a.exchange.kind.encoding, compressor.Name())
	case m.size >= 0:
		a.Header().Set("Content-Length", strconv.FormatInt(m.size, 10))
	}
	return a.encode(a.ResponseWriter, m, compressed)
}

// envelope writes a large message in an envelope.
func (a *answer) envelope(head []byte, m *outgoing, compressed bool) error {
	if !compressed && m.size >= 0 {
		return a.enclose(head, m.size, func(w io.Writer) error { return a.paced(w, m.encode) })
	}
	var kept chunks
	if err := a.encode(&kept, m, compressed); err != nil {
		return err
	}
	if compressed {
		head[0] |= flagCompressed
	}
	return a.enclose(head, kept.size, kept.writeTo)
}

// enclose writes an envelope with a content of size bytes.
func (a *answer) enclose(head []byte, size int64, content func(io.Writer) error) error {
	if size > math.MaxUint32 {
		return connect.Errorf(connect.CodeResourceExhausted, "message size %d is larger than an envelope can hold", size)
	}
	binary.BigEndian.PutUint32(head[1:], uint32(size))
	if _, err := a.ResponseWriter.Write(head); err != nil {
		return err //nolint:wrapcheck // connect wraps it
	}
	return content(a.ResponseWriter)
}

// compressed reports whether large messages are.
func (a *answer) compressed() bool {
	kind := a.exchange.kind
	if !kind.enveloped {
		return takesGzip(a.accepts)
	}
	return a.Header().Get(kind.encoding) == compressor.Name()
}

// encode writes a message to dst.
func (a *answer) encode(dst io.Writer, m *outgoing, compressed bool) error {
	if !compressed {
		return a.paced(dst, m.encode)
	}
	return a.paced(dst, func(out *paced) error {
		z, err := compressor.Compress(out)
		if err != nil {
			return err //nolint:wrapcheck // connect wraps it
		}
		return errors.Join(a.paced(z, m.encode), z.Close())
	})
}

// paced has what fill writes go to dst in pieces.
func (a *answer) paced(dst io.Writer, fill func(*paced) error) error {
	w := newPaced(dst, a.exchange.look)
	if err := fill(w); err != nil {
		return err
	}
	return w.finish()
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() } // Write reports what is wrong

// Unwrap lets http.ResponseController reach the rest.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
