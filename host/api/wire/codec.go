package wire

import (
	"bytes"
	"context"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Binary returns the codec of Protobuf's encoding. Fields of large messages come in any order. The worker of a call looks before a message
// is decoded, and from time to time while a large one is decoded or encoded.
func Binary(worker WorkerOf) connect.StableCodec {
	return binaryCodec{connectproto.NewBinaryCodec(), worker}
}

// JSON returns the codec of Protobuf's JSON. It is otherwise as Binary.
func JSON(worker WorkerOf) connect.StableCodec {
	return jsonCodec{connectproto.NewJSONCodec(), worker}
}

type binaryCodec struct {
	*connectproto.BinaryCodec
	worker WorkerOf
}

// UnmarshalRead implements connect.Codec.
func (c binaryCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	m, data, look := received(ctx, c.worker, msg)
	if data == nil {
		return c.BinaryCodec.UnmarshalRead(ctx, src, msg) //nolint:wrapcheck // it is what connect made of it
	}
	o := c.UnmarshalOptions
	o.Merge, o.RecursionLimit = true, protowire.DefaultRecursionLimit
	return binaryDecoder{o, largeField, look}.merge(m.ProtoReflect(), data)
}

// MarshalWrite implements connect.Codec.
func (c binaryCodec) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	m, buf, size := large(dst, msg)
	if buf == nil {
		return c.BinaryCodec.MarshalWrite(ctx, dst, msg) //nolint:wrapcheck // it is what connect made of it
	}
	reserve(buf, size)
	out, err := binaryEncoder{c.worker(ctx).Look}.message(buf.AvailableBuffer(), m.ProtoReflect(), size)
	if err != nil {
		return err
	}
	_, _ = buf.Write(out) // what is written lies there already; it does not fail
	return nil
}

type jsonCodec struct {
	*connectproto.JSONCodec
	worker WorkerOf
}

// UnmarshalRead implements connect.Codec.
func (c jsonCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	m, data, look := received(ctx, c.worker, msg)
	if data == nil {
		return c.JSONCodec.UnmarshalRead(ctx, src, msg) //nolint:wrapcheck // it is what connect made of it
	}
	return jsonDecoder{c.UnmarshalOptions, look, largeField, largeDepth}.message(m.ProtoReflect(), data)
}

// MarshalWrite implements connect.Codec.
func (c jsonCodec) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	m, buf, _ := large(dst, msg)
	if buf == nil {
		return c.JSONCodec.MarshalWrite(ctx, dst, msg) //nolint:wrapcheck // it is what connect made of it
	}
	return jsonEncoder{growing{buf, c.worker(ctx).Look}, c.MarshalOptions, largeField}.message(m.ProtoReflect())
}

// received has the call's worker look, and returns the message to decode into, what it is decoded from when that went past connect, and
// what is called from time to time meanwhile.
func received(ctx context.Context, worker WorkerOf, msg any) (m proto.Message, data []byte, look func()) {
	w := worker(ctx)
	w.Look()
	m, isMessage := msg.(proto.Message)
	if !isMessage {
		return nil, nil, nil
	}
	return m, bodyOf(ctx).take(), w.Look
}

// large returns the message that is to be written, the buffer that it is written to and its size in Protobuf's encoding, when it is to
// be written in pieces.
func large(dst io.Writer, msg any) (proto.Message, *bytes.Buffer, int) {
	m, isMessage := msg.(proto.Message)
	buf, isBuffer := dst.(*bytes.Buffer)
	if !isMessage || !isBuffer {
		return nil, nil, 0
	}
	size := proto.Size(m)
	if size <= largeMessage {
		return nil, nil, 0
	}
	return m, buf, size
}
