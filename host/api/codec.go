package api

import (
	"context"
	"io"

	"connectrpc.com/connect/v2"
)

// lookingCodec has a call look at its task before a message is decoded: from there on something is computed.
type lookingCodec struct{ connect.StableCodec }

// UnmarshalRead implements connect.Codec.
func (c lookingCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	callOf(ctx).task.Look()
	return c.StableCodec.UnmarshalRead(ctx, src, msg) //nolint:wrapcheck // it is what connect made of it
}
