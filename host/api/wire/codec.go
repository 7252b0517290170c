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
	m, size := large(msg)
	kept, err := c.of(ctx).keep(dst, m, outgoing{size, func(w *paced) error { return binaryEncoder{w}.message(m.ProtoReflect(), int(size)) }})
	if kept || err != nil {
		return err
	}
	return c.BinaryCodec.MarshalWrite(ctx, dst, msg) //nolint:wrapcheck // it is what connect made of it
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
	m, _ := large(msg)
	kept, err := c.of(ctx).keep(dst, m, outgoing{-1, func(w *paced) error { return jsonEncoder{w, c.MarshalOptions, largeField}.message(m.ProtoReflect()) }})
	if kept || err != nil {
		return err
	}
	return c.JSONCodec.MarshalWrite(ctx, dst, msg) //nolint:wrapcheck // it is what connect made of it
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

// large returns msg with its size in Protobuf's encoding if it is a large message.
func large(msg any) (m proto.Message, size int64) {
	m, isMessage := msg.(proto.Message)
	if !isMessage {
		return nil, 0
	}
	if size = int64(proto.Size(m)); size <= largeMessage {
		return nil, 0
	}
	return m, size
}

// keep has the answer keep a large message in place of what dst gets, and reports whether it has.
func (x *Exchange) keep(dst io.Writer, m proto.Message, out outgoing) (bool, error) {
	if m == nil || x.answer.ResponseWriter == nil {
		return false, nil
	}
	if err := encodable(m.ProtoReflect(), x.look); err != nil {
		return false, err
	}
	return true, x.answer.standIn(dst, out)
}
