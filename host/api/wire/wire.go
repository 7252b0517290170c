// Package wire carries messages between HTTP bodies and Protobuf. Small ones are connect's and Protobuf's business. Large ones go past
// their buffers, which double as they fill, and are read, decoded, encoded and written in pieces, with few copies: see package pieces.
package wire

import (
	"context"
	"net/http"
	"strings"

	"connectrpc.com/connect/v2/connecthttp"

	"github.com/tandem-serve/tandem/internal/spare"
)

// Sizes in bytes above which something is large. They keep a message of some KiB on the paths that are made for it.
const (
	largeMessage = 256 << 10
	largeField   = 64 << 10
)

// compressFrom is the size in bytes from which answers are compressed for clients that take gzip. Many clients say so unasked,
// and preparing gzip's tables costs more than a small answer does.
const compressFrom = 4 << 10

// Worker is told when the call's goroutine computes and when it waits. A *background.Task is one.
type Worker interface {
	// Look is called before something is computed, and from time to time while it is.
	Look()
	// Rest is called before something is waited for.
	Rest()
}

// Exchange is what is known of one request and its answer. The zero value is of use. It belongs to the goroutine of the call.
type Exchange struct {
	// Worker is the call's. Default: nobody is told.
	Worker Worker

	kind   kind   // of protocol
	done   bool   // nothing reads what the request was decoded from
	body   *body  // of the request, unless connect reads it itself
	answer answer // to it, when there is a connection
}

// ExchangeOf returns the exchange of the call that a context belongs to, never nil.
type ExchangeOf func(context.Context) *Exchange

func (x *Exchange) look() {
	if x.Worker != nil {
		x.Worker.Look()
	}
}

// Rest tells the worker that the call's goroutine waits for something.
func (x *Exchange) Rest() {
	if x.Worker != nil {
		x.Worker.Rest()
	}
}

// Done says that nothing reads the request's message any more, nor what stands in it, once the answer has been sent, which may: the memory
// that it stands in is then another's. Who is not sure does not say so, and the collector finds out.
func (x *Exchange) Done() { x.done = true }

// kind is what a protocol does with messages.
type kind struct {
	enveloped bool   // they are framed as gRPC's are
	encoding  string // the header that says how they are compressed
}

func kindOf(r *http.Request) kind {
	switch t := r.Header.Get("Content-Type"); {
	case strings.HasPrefix(t, "application/grpc"):
		return kind{true, "Grpc-Encoding"}
	case strings.HasPrefix(t, "application/connect+"):
		return kind{true, "Connect-Content-Encoding"}
	}
	return kind{false, "Content-Encoding"}
}

// Options has connect use what this package has of codecs and compression.
func Options(of ExchangeOf) []connecthttp.Option {
	return []connecthttp.Option{
		connecthttp.WithCodecs(newBinaryCodec(of), newJSONCodec(of)), connecthttp.WithCompressors(compressor), connecthttp.WithCompressMinBytes(compressFrom),
	}
}

// Handler reads the large messages of next's requests and writes those of its answers. next is connect's with the [Options] of this
// package. most bounds one message that is read in bytes, after decompression. What it has read belongs to the message that is decoded
// from it, whose texts and bytes stand in it, until [Exchange.Done]. What an answer holds is not needed any more once it has been sent.
func Handler(next http.Handler, most int64, of ExchangeOf) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := of(r.Context())
		x.kind = kindOf(r)
		x.answer = answer{ResponseWriter: w, exchange: x, accepts: r.Header.Get("Accept-Encoding")}
		if x.body = newBody(r, most, x); x.body != nil {
			inner := *r
			inner.Body = x.body
			r = &inner
		}
		next.ServeHTTP(&x.answer, r)
		if x.answer.broken {
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http has no other way; what there is of the answer would look like all of it
		}
		if x.done && x.body != nil {
			spare.LetGo(x.body.taken)
			x.body.taken = nil
		}
	})
}
