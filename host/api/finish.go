package api

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
)

// RequestIDHeader carries the id of a request in its answer.
const RequestIDHeader = "Tandem-Request-Id"

type requestIDKey struct{}

// requestID returns the id that finish gave the call.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// finish is the outermost interceptor: it names the request, recovers a panic, writes the error that leaves the server,
// and logs and counts the call.
func finish(log *slog.Logger, meter Meter) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			begin := time.Now()
			id := newRequestID()
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				info.ResponseHeader().Set(RequestIDHeader, id)
			}
			err := recovered(next)(context.WithValue(ctx, requestIDKey{}, id), spec, stream)
			code := "ok"
			if err != nil {
				out := toError(err, id)
				code = out.Code().String()
				logFailure(ctx, log, spec.Procedure, id, out, err)
				err = out
			}
			took := time.Since(begin)
			meter.Call(spec.Procedure, code, took)
			log.LogAttrs(ctx, slog.LevelDebug, "call", slog.String("procedure", spec.Procedure), slog.String("request_id", id),
				slog.String("code", code), slog.Duration("took", took))
			return err
		}
	}
}

// newRequestID returns an id that tells requests apart, and sorts by time. It is no secret, so that it needs no call of the system.
func newRequestID() string {
	id, err := uuid.NewV7FromReader(chance{})
	if err != nil {
		return uuid.NewString() // chance has no errors
	}
	return id.String()
}

// chance reads as random bytes of this process's own generator.
type chance struct{}

// Read implements io.Reader.
func (chance) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], rand.Uint64()) //nolint:gosec // G404: ids of requests are no secrets
		copy(p[i:], b[:])
	}
	return len(p), nil
}

// recovered turns a panic into an error, so that one request's bug costs that request.
func recovered(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		return protect(func() error { return next(ctx, spec, stream) })
	}
}

// protect runs f and turns a panic into an error.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}

// logFailure logs what the server is to blame for; what a caller did wrong is the caller's to know.
func logFailure(ctx context.Context, log *slog.Logger, procedure, id string, out *connect.Error, cause error) {
	if out.Code() != connect.CodeInternal {
		return
	}
	log.LogAttrs(ctx, slog.LevelError, "call failed", slog.String("procedure", procedure), slog.String("request_id", id),
		slog.Any("error", rootCause(cause)))
}
