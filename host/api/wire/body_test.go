package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	"github.com/tandem-serve/tandem/internal/pieces"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// echo answers with its inputs.
type echo struct {
	tandemv1connect.UnimplementedInferenceServiceHandler
}

func (echo) Infer(_ context.Context, req *tandemv1.InferRequest) (*tandemv1.InferResponse, error) {
	return &tandemv1.InferResponse{Outputs: req.GetInputs(), RequestId: req.GetGraph()}, nil
}

func (echo) InferStream(_ context.Context, req *tandemv1.InferStreamRequest, stream tandemv1connect.InferenceServiceInferStreamServerStream) error {
	for name, v := range req.GetInfer().GetInputs() {
		err := stream.Send(&tandemv1.InferStreamResponse{Event: &tandemv1.InferStreamResponse_Output{Output: &tandemv1.OutputEvent{Name: name, Value: v}}})
		if err != nil {
			return err
		}
	}
	return nil
}

const mostBytes = 2 << 20

// counter counts what a worker is told.
type counter struct{ looks, rests int }

func (c *counter) Look() { c.looks++ }
func (c *counter) Rest() { c.rests++ }

type exchangeKey struct{}

// exchangeIn returns the exchange that ctx has been given.
func exchangeIn(ctx context.Context) *Exchange {
	x, _ := ctx.Value(exchangeKey{}).(*Exchange)
	if x == nil {
		x = &Exchange{}
	}
	return x
}

// exchanging gives each request an exchange with this worker.
func exchanging(next http.Handler, w Worker) http.Handler {
	return http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		next.ServeHTTP(res, req.WithContext(context.WithValue(req.Context(), exchangeKey{}, &Exchange{Worker: w})))
	})
}

// mounted returns a server of the inferences of h, as this package has them.
func mounted(h tandemv1connect.InferenceServiceHandler, most int, w Worker) http.Handler {
	s := connect.NewServer()
	tandemv1connect.RegisterInferenceServiceHandler(s, h)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, s, append(Options(exchangeIn), connecthttp.WithReadMaxBytes(most))...)
	return exchanging(Handler(mux, int64(most), exchangeIn), w)
}

// serve starts a server of echo, over HTTP/1.1 and HTTP/2.
func serve(t *testing.T) (url string, client *http.Client, told *counter) {
	t.Helper()
	told = &counter{}
	web := httptest.NewUnstartedServer(mounted(echo{}, mostBytes, told))
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	return web.URL, web.Client(), told
}

// Large and small messages arrive, in every protocol and encoding.
func TestMessagesArrive(t *testing.T) {
	url, web, _ := serve(t)
	for name, options := range map[string][]connecthttp.Option{
		"Connect": nil, "gRPC": {connecthttp.WithGRPC()}, "gRPC-Web": {connecthttp.WithGRPCWeb()}, "JSON": {connecthttp.WithProtoJSON()},
		"JSON in gRPC-Web": {connecthttp.WithProtoJSON(), connecthttp.WithGRPCWeb()},
	} {
		for encoding, more := range map[string]connecthttp.Option{"plain": connecthttp.WithCompressors(), "compressed answers": nil, "compressed": connecthttp.WithSendGzip()} {
			options := options
			if more != nil {
				options = append(slices.Clip(options), more)
			}
			t.Run(name+", "+encoding, func(t *testing.T) {
				c := tandemv1connect.NewInferenceServiceClient(connect.NewClient(connecthttp.NewTransport(web, url, options...)))
				for _, n := range []int{0, 10, largeField + 1, largeMessage - 40, largeMessage + 1, mostBytes - 1000} {
					call := &tandemv1.InferRequest{Graph: "g", Inputs: map[string]*tandemv1.Value{
						"text": {Kind: &tandemv1.Value_Text{Text: strings.Repeat("é\n", n/4)}},
						"note": {Kind: &tandemv1.Value_Json{Json: "1"}},
					}}
					res, err := c.Infer(t.Context(), call)
					if err != nil {
						t.Fatalf("%d bytes: %v", n, err)
					}
					if want := (&tandemv1.InferResponse{Outputs: call.GetInputs(), RequestId: "g"}); !proto.Equal(res, want) {
						t.Errorf("%d bytes: others came back", n)
					}
					stream, err := c.InferStream(t.Context(), &tandemv1.InferStreamRequest{Infer: call})
					if err != nil {
						t.Fatal(err)
					}
					for range call.GetInputs() {
						event, err := stream.Receive()
						if err != nil {
							t.Fatalf("%d bytes: %v", n, err)
						}
						if o := event.GetOutput(); !proto.Equal(o.GetValue(), call.GetInputs()[o.GetName()]) {
							t.Errorf("%d bytes: others came back in a stream", n)
						}
					}
				}
			})
		}
	}
}

// read reads all that connect would of a body, and returns it and the messages that go past connect.
func read(b *body) (seen []byte, large [][]byte, err error) {
	buf := make([]byte, 100)
	for {
		n, err := b.Read(buf)
		seen = append(seen, buf[:n]...)
		if m := b.take(); m != nil {
			large = append(large, m)
		}
		if errors.Is(err, io.EOF) {
			return seen, large, nil
		}
		if err != nil {
			return seen, large, err
		}
	}
}

// bodyOfKind is the body of a request of n bytes, -1 if that is not told.
func bodyOfKind(t *testing.T, contentType, encoding string, data io.Reader, n int64) *body {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", data)
	r.ContentLength = n
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("Grpc-Encoding", encoding)
	return newBody(r, mostBytes, &Exchange{kind: kindOf(r)})
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// framed is a message of a stream.
func framed(flags byte, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(data))), data...)
}

const (
	unary  = "application/proto"
	stream = "application/grpc+proto"
)

// What is wrong with a body is told as connect tells it.
func TestWrongBodies(t *testing.T) {
	large := bytes.Repeat([]byte("x"), largeMessage+1)
	vast := bytes.Repeat([]byte("x"), mostBytes+1)
	lying := zipped(t, large)
	binary.LittleEndian.PutUint32(lying[len(lying)-4:], 7)
	network := errors.New("the network is down")
	for name, tc := range map[string]struct {
		kind, encoding string
		data           io.Reader
		length         int64
		code           connect.Code
		cause          error
	}{
		"larger than it may be":               {unary, "", bytes.NewReader(vast), mostBytes + 1, connect.CodeResourceExhausted, nil},
		"larger without saying so":            {unary, "", bytes.NewReader(vast), -1, connect.CodeResourceExhausted, nil},
		"larger once it is inflated":          {unary, "gzip", bytes.NewReader(zipped(t, vast)), -1, connect.CodeResourceExhausted, nil},
		"no gzip":                             {unary, "gzip", bytes.NewReader(large), int64(len(large)), connect.CodeInvalidArgument, gzip.ErrHeader},
		"gzip that is cut off":                {unary, "gzip", bytes.NewReader(zipped(t, large)[:200]), 200, connect.CodeInvalidArgument, io.ErrUnexpectedEOF},
		"gzip with another size":              {unary, "gzip", bytes.NewReader(lying), -1, connect.CodeInvalidArgument, gzip.ErrChecksum},
		"a network that breaks":               {unary, "", io.MultiReader(bytes.NewReader(large), iotest.ErrReader(network)), -1, connect.CodeUnknown, network},
		"a message that is cut off":           {stream, "", bytes.NewReader(framed(0, large)[:1000]), -1, connect.CodeInternal, io.ErrUnexpectedEOF},
		"a message that the network cuts off": {stream, "", io.MultiReader(bytes.NewReader(framed(0, large)[:1000]), iotest.ErrReader(network)), -1, connect.CodeUnknown, network},
		"a head that the network cuts off":    {stream, "", io.MultiReader(strings.NewReader("\x00\x00"), iotest.ErrReader(network)), -1, connect.CodeUnknown, network},
		"a compressed message that is none":   {stream, "gzip", bytes.NewReader(framed(1, large)), -1, connect.CodeInvalidArgument, gzip.ErrHeader},
		"a message that grows too large":      {stream, "gzip", bytes.NewReader(framed(1, zipped(t, vast))), -1, connect.CodeResourceExhausted, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := read(bodyOfKind(t, tc.kind, tc.encoding, tc.data, tc.length))
			if connect.CodeOf(err) != tc.code || tc.cause != nil && !errors.Is(err, tc.cause) || len(got) > 0 {
				t.Errorf("%v, want %v for %v; %d messages", err, tc.code, tc.cause, len(got))
			}
		})
	}
}

// What connect can say better, or reads as well itself, it reads.
func TestBodiesThatConnectReads(t *testing.T) {
	little := []byte("a message")
	vast := framed(0, make([]byte, mostBytes+1))
	for name, tc := range map[string]struct {
		kind, encoding string
		data, want     []byte
	}{
		"a little message":        {stream, "", framed(0, little), framed(0, little)},
		"a little one, zipped":    {stream, "gzip", framed(1, zipped(t, little)), framed(0, little)},
		"an empty one, zipped":    {stream, "gzip", framed(1, nil), framed(0, nil)},
		"a message too large":     {stream, "", vast, vast},
		"another encoding":        {stream, "br", framed(1, little), framed(1, little)},
		"the end of a stream":     {stream, "", framed(2, little), framed(2, little)},
		"half a head":             {stream, "", []byte{0, 0}, []byte{0, 0}},
		"a body of unknown size":  {unary, "", little, little},
		"an empty body, zipped":   {unary, "gzip", nil, nil},
		"a little body, zipped":   {unary, "gzip", zipped(t, little), little},
		"two messages and no end": {stream, "", append(framed(0, little), framed(0, little)[:9]...), append(framed(0, little), framed(0, little)[:9]...)},
	} {
		t.Run(name, func(t *testing.T) {
			seen, large, err := read(bodyOfKind(t, tc.kind, tc.encoding, iotest.HalfReader(bytes.NewReader(tc.data)), -1))
			if err != nil || !bytes.Equal(seen, tc.want) || len(large) > 0 {
				t.Errorf("%d bytes, %d messages past connect, %v; want %d bytes", len(seen), len(large), err, len(tc.want))
			}
		})
	}
	if b := bodyOfKind(t, unary, "", bytes.NewReader(little), int64(len(little))); b != nil {
		t.Error("a little body of a known size is not left to connect")
	}
}

// A large body of a known size is read into memory that is as large as it.
func TestLargeBodiesAreReadOnce(t *testing.T) {
	const size = mostBytes
	data := bytes.Repeat([]byte{7}, size)
	made := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for range b.N {
			_, large, err := read(bodyOfKind(t, unary, "", bytes.NewReader(data), size))
			if err != nil || len(large) != 1 || len(large[0]) != size {
				b.Fatalf("%d messages, %v", len(large), err)
			}
		}
	}).AllocedBytesPerOp()
	if made > size+size/7 { // what is taken is an eighth larger at most
		t.Errorf("%d bytes were allocated for a body of %d", made, size)
	}
}

// Who announces a large message in a stream and does not send it takes little memory.
func TestAnnouncedMessagesTakeNoMemory(t *testing.T) {
	head := framed(0, make([]byte, mostBytes))[:headBytes+100]
	made := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for range b.N {
			if _, _, err := read(bodyOfKind(t, stream, "", bytes.NewReader(head), -1)); err == nil {
				b.Fatal("it was read")
			}
		}
	}).AllocedBytesPerOp()
	if made > 4*firstRead {
		t.Errorf("%d bytes were allocated for a message of 100 bytes so far", made)
	}
}

// The worker is told of each piece, and that it waits when little has come.
func TestWorkersAreTold(t *testing.T) {
	data := bytes.Repeat([]byte{7}, mostBytes)
	told := &counter{}
	b := bodyOfKind(t, unary, "", bytes.NewReader(data), int64(len(data)))
	b.exchange.Worker = told
	if _, _, err := read(b); err != nil {
		t.Fatal(err)
	}
	if want := len(data) / pieces.Size; told.looks < want || told.rests != 1 {
		t.Errorf("it looked %d times and rested %d times, want %d or more, and once before the first piece", told.looks, told.rests, want)
	}
	told = &counter{}
	b = bodyOfKind(t, unary, "", iotest.OneByteReader(bytes.NewReader(data[:largeMessage+1])), int64(largeMessage+1))
	b.exchange.Worker = told
	if _, _, err := read(b); err != nil {
		t.Fatal(err)
	}
	if told.rests < largeMessage {
		t.Errorf("it rested %d times for %d bytes that came one by one", told.rests, largeMessage+1)
	}
	told = &counter{}
	b = bodyOfKind(t, unary, "gzip", bytes.NewReader(zipped(t, data)), -1)
	b.exchange.Worker = told
	if _, _, err := read(b); err != nil {
		t.Fatal(err)
	}
	if told.looks < len(data)/(32<<10) {
		t.Errorf("it looked %d times while %d bytes were inflated", told.looks, len(data))
	}
}

// While a large message is encoded and decoded the worker looks for each piece of its texts and bytes.
func TestWorkersLookMeanwhile(t *testing.T) {
	const size = 4 << 20
	m := &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{}}
	for i := range 4 {
		m.Outputs[fmt.Sprint("text", i)] = &tandemv1.Value{Kind: &tandemv1.Value_Text{Text: strings.Repeat("é", size/2)}}
	}
	want := 4 * size / pieces.Size
	for name, codec := range codecs {
		for _, accept := range []string{"", "gzip"} {
			told := &counter{}
			res, err := answered(t, codec, unary, accept, m, told)
			if err != nil || told.looks < 2*want {
				t.Errorf("%s, %s: it looked %d times while %d pieces were checked and encoded: %v", name, accept, told.looks, want, err)
			}
			*told = counter{}
			x := &Exchange{Worker: told, body: &body{large: inflated(t, res)}}
			var got tandemv1.InferResponse
			err = codec(exchangeIn).UnmarshalRead(context.WithValue(t.Context(), exchangeKey{}, x), strings.NewReader("\x00"), &got)
			if err != nil || !proto.Equal(&got, m) {
				t.Errorf("%s, %s: another message came back: %v", name, accept, err)
			}
			if told.looks < want {
				t.Errorf("%s, %s: it looked %d times while %d pieces were decoded", name, accept, told.looks, want)
			}
		}
	}
}
