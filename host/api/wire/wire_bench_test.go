package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// sink answers with nothing, whatever comes.
type sink struct {
	tandemv1connect.UnimplementedInferenceServiceHandler
}

func (sink) Infer(context.Context, *tandemv1.InferRequest) (*tandemv1.InferResponse, error) {
	return &tandemv1.InferResponse{}, nil
}

// BenchmarkRequest reads a request with a tensor over the loopback, as connect does and as this package does.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{64 << 10, 300 << 10, 1 << 20, 16 << 20} {
		m := &tandemv1.InferRequest{Graph: "g", Inputs: map[string]*tandemv1.Value{
			"t": {Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: 2, Shape: []int64{int64(size)}, Data: bytes.Repeat([]byte{7}, size)}}},
		}}
		for encoding, marshal := range map[string]func(proto.Message) ([]byte, error){"proto": proto.Marshal, "json": protojson.Marshal} {
			data, err := marshal(m)
			if err != nil {
				b.Fatal(err)
			}
			for by, handler := range map[string]http.Handler{"connect": plain(), "here": past()} {
				b.Run(fmt.Sprintf("%s/%dKiB/%s", encoding, size>>10, by), func(b *testing.B) { send(b, handler, encoding, data) })
			}
		}
	}
}

// most is what a message of the benchmarks may have.
const most = 64 << 20

func plain() http.Handler {
	s := connect.NewServer()
	tandemv1connect.RegisterInferenceServiceHandler(s, sink{})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, s, connecthttp.WithReadMaxBytes(most))
	return mux
}

func past() http.Handler {
	s := connect.NewServer()
	tandemv1connect.RegisterInferenceServiceHandler(s, sink{})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, s, connecthttp.WithReadMaxBytes(most), connecthttp.WithCodecs(Binary(toldNothing), JSON(toldNothing)), connecthttp.WithCompressors(Gzip()))
	return Handler(mux, most, toldNothing)
}

func send(b *testing.B, h http.Handler, encoding string, data []byte) {
	b.Helper()
	web := httptest.NewServer(h)
	defer web.Close()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, web.URL+tandemv1connect.InferenceServiceInferProcedure, bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/"+encoding)
		res, err := web.Client().Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res.Status, err)
		}
	}
}

// BenchmarkAnswer encodes an answer with a text, as connect does and as this package does.
func BenchmarkAnswer(b *testing.B) {
	for _, size := range []int{300 << 10, 16 << 20} {
		m := &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{"t": {Kind: &tandemv1.Value_Text{Text: string(bytes.Repeat([]byte("a text\n"), size/7))}}}}
		for by, codec := range map[string]connect.Codec{"proto": Binary(toldNothing), "json": JSON(toldNothing)} {
			b.Run(fmt.Sprintf("%s/%dKiB", by, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					var buf bytes.Buffer
					if err := codec.MarshalWrite(b.Context(), &buf, m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
