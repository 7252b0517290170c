package wire

import (
	"context"
	"io"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// binaryCodec is the codec of Protobuf's encoding. Fields of large messages come in any order. The worker of a call looks before a message
// is decoded, and from time to time while a large one is decoded or encoded.
type binaryCodec struct {
	*connectproto.BinaryCodec

	of ExchangeOf
}

func newBinaryCodec(of ExchangeOf) connect.StableCodec {
	return binaryCodec{connectproto.NewBinaryCodec(), of}
}

// UnmarshalRead implements connect.Codec.
func (c binaryCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	x := c.of(ctx)
	m, data := x.received(msg)
	if data == nil {
		return c.BinaryCodec.UnmarshalRead(ctx, src, msg) //nolint:wrapcheck // it is what connect made of it
	}
	o := c.UnmarshalOptions
	o.Merge, o.RecursionLimit = true, protowire.DefaultRecursionLimit
	return binaryDecoder{o, largeField, x.look}.merge(m.ProtoReflect(), data)
}

// MarshalWrite implements connect.Codec.
func (c binaryCodec) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	x := c.of(ctx)
	m, size := x.large(msg)
	if m == nil {
		return c.BinaryCodec.MarshalWrite(ctx, dst, msg) //nolint:wrapcheck // it is what connect made of it
	}
	return x.keep(dst, m, outgoing{int64(size), func(w *paced) error { return binaryEncoder{w}.message(m.ProtoReflect(), size) }})
}

// jsonCodec is the codec of Protobuf's JSON. It is otherwise as binaryCodec.
type jsonCodec struct {
	*connectproto.JSONCodec

	of ExchangeOf
}

func newJSONCodec(of ExchangeOf) connect.StableCodec {
	return jsonCodec{connectproto.NewJSONCodec(), of}
}

// UnmarshalRead implements connect.Codec.
func (c jsonCodec) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	x := c.of(ctx)
	m, data := x.received(msg)
	if data == nil {
		return c.JSONCodec.UnmarshalRead(ctx, src, msg) //nolint:wrapcheck // it is what connect made of it
	}
	return jsonDecoder{c.UnmarshalOptions, x.look, largeField, largeDepth}.message(m.ProtoReflect(), data)
}

// MarshalWrite implements connect.Codec.
func (c jsonCodec) MarshalWrite(ctx context.Context, dst io.Writer, msg any) error {
	x := c.of(ctx)
	m, _ := x.large(msg)
	if m == nil {
		return c.JSONCodec.MarshalWrite(ctx, dst, msg) //nolint:wrapcheck // it is what connect made of it
	}
	return x.keep(dst, m, outgoing{-1, func(w *paced) error { return jsonEncoder{w, c.MarshalOptions, largeField}.message(m.ProtoReflect()) }})
}

// received has the call's worker look, and returns the message to decode into, and what it is decoded from when that went past connect.
func (x *Exchange) received(msg any) (m proto.Message, data []byte) {
	x.look()
	m, isMessage := msg.(proto.Message)
	if !isMessage {
		return nil, nil
	}
	return m, x.body.take()
}

// large returns msg with its size in Protobuf's encoding if it is a large message that is written past connect.
func (x *Exchange) large(msg any) (m proto.Message, size int) {
	m, isMessage := msg.(proto.Message)
	if !isMessage || x.answer.ResponseWriter == nil {
		return nil, 0
	}
	if size = proto.Size(m); size <= largeMessage {
		return nil, 0
	}
	return m, size
}

// keep has the answer keep a large message in place of what dst gets.
func (x *Exchange) keep(dst io.Writer, m proto.Message, out outgoing) error {
	if err := encodable(m.ProtoReflect(), x.look); err != nil {
		return err
	}
	return x.answer.standIn(dst, out)
}
