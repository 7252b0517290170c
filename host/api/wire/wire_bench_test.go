package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
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

// source answers with its message.
type source struct {
	tandemv1connect.UnimplementedInferenceServiceHandler

	answer *tandemv1.InferResponse
}

func (s source) Infer(context.Context, *tandemv1.InferRequest) (*tandemv1.InferResponse, error) {
	return s.answer, nil
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
			for by, handler := range map[string]http.Handler{"connect": plain(sink{}), "here": mounted(sink{}, most, nil)} {
				b.Run(fmt.Sprintf("%s/%dKiB/%s", encoding, size>>10, by), func(b *testing.B) {
					send(b, handler, http.Header{"Content-Type": {"application/" + encoding}}, data, len(data))
				})
			}
		}
	}
}

// most is what a message of the benchmarks may have.
const most = 64 << 20

// plain is connect's own way.
func plain(h tandemv1connect.InferenceServiceHandler) http.Handler {
	s := connect.NewServer()
	tandemv1connect.RegisterInferenceServiceHandler(s, h)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, s, connecthttp.WithReadMaxBytes(most), connecthttp.WithCompressors(compressor))
	return mux
}

// send sends data again and again and reads the answers; size is what the benchmark counts.
func send(b *testing.B, h http.Handler, header http.Header, data []byte, size int) {
	b.Helper()
	web := httptest.NewServer(h)
	defer web.Close()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, web.URL+tandemv1connect.InferenceServiceInferProcedure, bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		req.Header = header
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

// BenchmarkAnswer writes an answer with a tensor over the loopback, as connect does and as this package does.
func BenchmarkAnswer(b *testing.B) {
	for _, size := range []int{64 << 10, 300 << 10, 1 << 20, 16 << 20} {
		data := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{}).Read(data) // it does not fail
		from := source{answer: &tandemv1.InferResponse{Outputs: map[string]*tandemv1.Value{
			"t": {Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: 2, Shape: []int64{int64(size)}, Data: data}}},
		}}}
		for _, encoding := range []string{"proto", "json"} {
			for _, accept := range []string{"identity", "gzip"} {
				header := http.Header{"Content-Type": {"application/" + encoding}, "Accept-Encoding": {accept}}
				for by, handler := range map[string]http.Handler{"connect": plain(from), "here": mounted(from, most, nil)} {
					b.Run(fmt.Sprintf("%s/%s/%dKiB/%s", encoding, accept, size>>10, by), func(b *testing.B) { send(b, handler, header, []byte(map[string]string{"json": "{}"}[encoding]), size) })
				}
			}
		}
	}
}
