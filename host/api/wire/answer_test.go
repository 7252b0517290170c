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
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tandem-serve/tandem/internal/pieces"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// codecs are those of this package.
var codecs = map[string]func(ExchangeOf) connect.StableCodec{"binary": newBinaryCodec, "JSON": newJSONCodec}

// answered has a codec write m as connect would, as the answer to a client that takes an encoding. In a stream it is preceded by its head.
func answered(t *testing.T, codec func(ExchangeOf) connect.StableCodec, contentType, accept string, m proto.Message, w Worker) (*httptest.ResponseRecorder, error) {
	t.Helper()
	res := httptest.NewRecorder()
	return res, answerTo(t, res, codec, contentType, accept, m, w)
}

func answerTo(t *testing.T, res http.ResponseWriter, codec func(ExchangeOf) connect.StableCodec, contentType, accept string, m proto.Message, w Worker) error {
	t.Helper()
	x := &Exchange{Worker: w}
	ctx := context.WithValue(t.Context(), exchangeKey{}, x)
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
	req.Header = http.Header{"Content-Type": {contentType}, "Accept-Encoding": {accept}}
	x.kind, x.answer = kindOf(req), answer{ResponseWriter: res, exchange: x, accepts: accept}
	if contentType == stream {
		res.Header().Set("Grpc-Encoding", accept)
	}
	var buf bytes.Buffer
	if err := codec(exchangeIn).MarshalWrite(ctx, &buf, m); err != nil {
		return err
	}
	if contentType == stream {
		if _, err := x.answer.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(buf.Len()))); err != nil {
			return err
		}
	}
	_, err := x.answer.Write(buf.Bytes())
	return err
}

// inflated returns the answer, whatever its encoding is.
func inflated(t *testing.T, res *httptest.ResponseRecorder) []byte {
	t.Helper()
	if res.Header().Get("Content-Encoding") == "" {
		return res.Body.Bytes()
	}
	return unzipped(t, res.Body.Bytes())
}

func unzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func answerOf(size int) *tandemv1.InferResponse {
	return &tandemv1.InferResponse{RequestId: "id", Outputs: map[string]*tandemv1.Value{"a": {Kind: &tandemv1.Value_Text{Text: strings.Repeat("é", size/2)}}}}
}

// What goes past connect arrives as connect would have written it: with a length where one is known, with a flag and a size in a stream.
func TestAnswersGoPastConnect(t *testing.T) {
	for _, size := range []int{largeMessage, pieces.Size*3 + 2, 5 << 20} {
		m := answerOf(size)
		for name, codec := range codecs {
			for _, kind := range []string{unary, stream} {
				for _, accept := range []string{"", "gzip", "br, gzip", "br"} {
					if kind == stream && accept == "br, gzip" {
						continue // it is negotiated by connect
					}
					t.Run(fmt.Sprint(size, name, kind, accept), func(t *testing.T) {
						res, err := answered(t, codec, kind, accept, m, nil)
						if err != nil {
							t.Fatal(err)
						}
						data, zipped := res.Body.Bytes(), strings.Contains(accept, "gzip")
						if kind == stream {
							if n := binary.BigEndian.Uint32(data[1:]); int(n) != len(data)-headBytes || data[0] == 1 != zipped {
								t.Fatalf("flags %d and size %d precede %d bytes", data[0], n, len(data)-headBytes)
							}
							data = data[headBytes:]
						} else if length := res.Header().Get("Content-Length"); (length == fmt.Sprint(len(data))) != (name == "binary" && !zipped) {
							t.Errorf("length %q is announced for %d bytes", length, len(data))
						}
						if zipped {
							data = unzipped(t, data)
						}
						var got tandemv1.InferResponse
						read := proto.Unmarshal
						if name == "JSON" {
							read = protojson.Unmarshal
						}
						if err := read(data, &got); err != nil || !proto.Equal(&got, m) {
							t.Errorf("another message arrived: %v", err)
						}
					})
				}
			}
		}
	}
}

// failing takes some bytes.
type failing struct {
	http.ResponseWriter

	left int
}

var errGone = errors.New("the client has gone")

// Write implements io.Writer.
func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errGone
	}
	return len(p), nil
}

// Nothing more is encoded for a client that has gone, and its call is told.
func TestAnswersToWhoHasGone(t *testing.T) {
	const size = 8 << 20
	m := answerOf(size)
	for name, codec := range codecs {
		for _, kind := range []string{unary, stream} {
			told := &counter{}
			err := answerTo(t, &failing{httptest.NewRecorder(), pieces.Size + headBytes}, codec, kind, "", m, told)
			if !errors.Is(err, errGone) {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
			if checked := size / pieces.Size; kind == unary && told.looks > checked+10 {
				t.Errorf("%s, %s: it looked %d times, want %d for the check and no more than a few", name, kind, told.looks, checked)
			}
		}
	}
}

// A client sees that an answer is not all there is, whatever the protocol.
func TestBrokenAnswersAreCutOff(t *testing.T) {
	for name, contentType := range map[string]string{"one message": unary, "a stream": stream} {
		for _, major := range []int{1, 2} {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				x := exchangeIn(r.Context())
				x.answer.large = &outgoing{-1, func(w *paced) error {
					_, _ = w.Write(make([]byte, 2*pieces.Size))
					_ = w.pass()
					return errors.New("no more can be encoded")
				}}
				w.Header().Set("Content-Type", contentType)
				_, _ = w.Write([]byte{0, 0, 0, 0, 1})
				_, _ = w.Write([]byte{0})
			})
			web := httptest.NewUnstartedServer(exchanging(Handler(h, mostBytes, exchangeIn), nil))
			web.EnableHTTP2 = major == 2
			web.StartTLS()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", contentType)
			res, err := web.Client().Do(req)
			if err == nil {
				if res.ProtoMajor != major {
					t.Errorf("HTTP/%d", res.ProtoMajor)
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			if err == nil {
				t.Errorf("%s over HTTP/%d: half of an answer looks like all", name, major)
			}
			web.Close()
		}
	}
}

// An answer takes no memory of its size.
func TestAnswersTakeNoMemory(t *testing.T) {
	const size = 8 << 20
	m := answerOf(size)
	for name, codec := range codecs {
		made := testing.Benchmark(func(b *testing.B) {
			b.Helper()
			b.ReportAllocs()
			for range b.N {
				if err := answerTo(t, &failing{httptest.NewRecorder(), 2 * size}, codec, unary, "gzip", m, nil); err != nil {
					b.Fatal(err)
				}
			}
		}).AllocedBytesPerOp()
		if made > size/2 {
			t.Errorf("%s: %d bytes were allocated for a message of %d", name, made, size)
		}
	}
}
