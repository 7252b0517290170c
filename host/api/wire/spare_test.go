package wire

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// doneEcho is echo, which says that it is done.
type doneEcho struct{ echo }

func (e doneEcho) Infer(ctx context.Context, req *tandemv1.InferRequest) (*tandemv1.InferResponse, error) {
	exchangeIn(ctx).Done()
	return e.echo.Infer(ctx, req)
}

// The memory of messages that are done with is used again, and of others is not.
func TestMemoryIsUsedAgain(t *testing.T) {
	const size = 8 << 20
	data, err := proto.Marshal(&tandemv1.InferRequest{Graph: "g", Inputs: map[string]*tandemv1.Value{
		"text": {Kind: &tandemv1.Value_Text{Text: strings.Repeat("x", size)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		handler     tandemv1connect.InferenceServiceHandler
		body        []byte
		encoding    string
		least, most int64
	}{
		"done":             {doneEcho{}, data, "identity", 0, size / 2},
		"done, compressed": {doneEcho{}, zipped(t, data), "gzip", 0, size / 2},
		"not done":         {echo{}, data, "identity", size, 2 * size},
	} {
		web := mounted(c.handler, 2*size, &counter{})
		made := testing.Benchmark(func(b *testing.B) {
			b.Helper()
			b.ReportAllocs()
			for range b.N {
				r := httptest.NewRequestWithContext(t.Context(), "POST", tandemv1connect.InferenceServiceInferProcedure, bytes.NewReader(c.body))
				r.Header.Set("Content-Type", "application/proto")
				r.Header.Set("Content-Encoding", c.encoding)
				out := &failing{httptest.NewRecorder(), 1 << 60}
				web.ServeHTTP(out, r)
			}
		}).AllocedBytesPerOp()
		if made < c.least || made > c.most {
			t.Errorf("%s: %d bytes were allocated for a message of %d, want %d to %d", name, made, size, c.least, c.most)
		}
	}
}

// However many messages come at once, in every protocol, each answer has what was in its own.
func TestMemoryOfMessagesIsTheirs(t *testing.T) {
	const most = 8 << 20
	web := httptest.NewUnstartedServer(mounted(doneEcho{}, most, nil))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	var calls sync.WaitGroup
	for i, options := range [][]connecthttp.Option{
		nil,
		{connecthttp.WithGRPC()},
		{connecthttp.WithGRPCWeb()},
		{connecthttp.WithProtoJSON()},
		{connecthttp.WithSendGzip()},
		{connecthttp.WithSendGzip(), connecthttp.WithProtoJSON()},
	} {
		c := tandemv1connect.NewInferenceServiceClient(connect.NewClient(connecthttp.NewTransport(web.Client(), web.URL, options...)))
		for k := range 3 {
			calls.Go(func() {
				for n := range 8 {
					text := strings.Repeat(fmt.Sprintf("%d %d %d ", i, k, n), 300_000+10_000*k)
					if len(text) <= 1<<20 {
						t.Errorf("%d bytes are not used again", len(text))
					}
					call := &tandemv1.InferRequest{Graph: "g", Inputs: map[string]*tandemv1.Value{"text": {Kind: &tandemv1.Value_Text{Text: text}}}}
					res, err := c.Infer(t.Context(), call)
					if err != nil {
						t.Errorf("%d, %d, %d: %v", i, k, n, err)
						return
					}
					if got := res.GetOutputs()["text"].GetText(); got != text {
						t.Errorf("%d, %d, %d: the answer is another's: %.40q", i, k, n, got)
					}
				}
			})
		}
	}
	calls.Wait()
}
