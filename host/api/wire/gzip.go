package wire

import (
	"bytes"
	"compress/flate"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"

	"github.com/tandem-serve/tandem/internal/pieces"
)

// Gzip returns gzip at its fastest, for what an answer costs most is time.
func Gzip() connect.Compressor {
	return compressor{connectgzip.New(connectgzip.WithLevel(flate.BestSpeed))}
}

// compressor is gzip into buffers that grow in pieces: see package pieces.
type compressor struct{ *connectgzip.Compressor }

// Compress implements connect.Compressor.
func (c compressor) Compress(dst io.Writer) (io.WriteCloser, error) {
	if buf, ok := dst.(*bytes.Buffer); ok {
		dst = growing{buf, func() {}}
	}
	w, err := c.Compressor.Compress(dst)
	return inPieces{w}, err //nolint:wrapcheck // connect wraps it
}

// inPieces writes in pieces: checksums cannot be interrupted.
type inPieces struct{ io.WriteCloser }

// Write implements io.Writer.
func (w inPieces) Write(p []byte) (int, error) { return pieces.Write(w.WriteCloser, p) }

// growing writes to a buffer that doubles as it fills. It calls look before that.
type growing struct {
	buf  *bytes.Buffer
	look func()
}

// Write implements io.Writer.
func (g growing) Write(p []byte) (int, error) {
	if n := g.buf.Len(); n+len(p) > pieces.Size && g.buf.Available() < len(p) {
		g.look()
		reserve(g.buf, max(n, len(p)))
	}
	return g.buf.Write(p) //nolint:wrapcheck // it does not fail
}
