package api

import (
	"context"
	"fmt"
	"log/slog"
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

func newRequestID() string {
	id, err := uuid.NewV7()
	if err != nil {
		// The system's source of randomness failed; the id only needs to tell requests apart.
		id = uuid.New()
	}
	return id.String()
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
