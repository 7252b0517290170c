// Package wire carries messages between HTTP bodies and Protobuf. Small ones are connect's and Protobuf's business. Large ones go past
// their buffers, which double as they fill, and are read, decoded and encoded in pieces, with few copies: see package pieces.
package wire

import (
	"context"
	"net/http"
)

// Sizes in bytes above which something is large. They keep a message of some KiB on the paths that are made for it.
const (
	largeMessage = 256 << 10
	largeField   = 64 << 10
)

// Worker is told when the call's goroutine computes and when it waits. A *background.Task is one.
type Worker interface {
	// Look is called before something is computed, and from time to time while it is.
	Look()
	// Rest is called before something is waited for.
	Rest()
}

// WorkerOf returns the worker of the call that a context belongs to.
type WorkerOf func(context.Context) Worker

type bodyKey struct{}

// Handler reads the large messages of next's requests. most bounds one message in bytes, after decompression; worker returns that of a
// call; next's codecs are those of this package. What it has read belongs to the message that is decoded from it, whose texts and bytes
// stand in it.
func Handler(next http.Handler, most int64, worker WorkerOf) http.Handler {
	gzip := Gzip()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b := newBody(r, most, gzip); b != nil {
			ctx := context.WithValue(r.Context(), bodyKey{}, b)
			b.worker = func() Worker { return worker(ctx) }
			r = r.WithContext(ctx)
			r.Body = b
		}
		next.ServeHTTP(w, r)
	})
}

// bodyOf returns the body of the call that ctx belongs to, or nil when connect reads it itself.
func bodyOf(ctx context.Context) *body {
	b, _ := ctx.Value(bodyKey{}).(*body)
	return b
}
