package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
	"github.com/tandem-serve/tandem/sdk/client"
)

// giantGraph gives the same text back many times, or only a note.
func giantGraph() string {
	var outputs strings.Builder
	for i := range 64 {
		fmt.Fprintf(&outputs, "o%d: {from: text}, ", i)
	}
	return "graph: giant\ninputs: {text: text, note: text}\noutputs: {" + outputs.String() + "note: {from: note}}\n"
}

// giantCall is a call of giantGraph with a text of size bytes, for all outputs or those named.
func giantCall(size int, outputs ...string) *tandemv1.InferRequest {
	return &tandemv1.InferRequest{Graph: "giant", Outputs: outputs, Inputs: map[string]*tandemv1.Value{
		"text": client.Text(strings.Repeat("x", size)), "note": client.Text("n"),
	}}
}

// giantOutputs asks for the same megabytes many times in one answer.
func giantOutputs() attack {
	call := sync.OnceValue(func() *tandemv1.InferRequest { return giantCall(4 << 20) })
	return attack{
		name: "giant outputs", workers: 4,
		prepare: func(t *testing.T, a *attacker) { t.Helper(); mustPublish(t, a.client, giantGraph()) },
		strike: func(ctx context.Context, a *attacker, _, _ int) error {
			_, err := a.client.Infer(ctx, "giant", call().GetInputs())
			return err
		},
	}
}

// giantMessages are attacks by messages as large as they may be, which go one way or the other.
func giantMessages() []attack {
	const most = 60 << 20 // less than a message may have
	return []attack{
		giantMessage("giant outputs in json", "application/json", "identity", func() ([]byte, error) { return protojson.Marshal(giantCall(4 << 20)) }),
		giantMessage("giant inputs", "application/proto", "identity", func() ([]byte, error) { return proto.Marshal(giantCall(most, "note")) }),
		giantMessage("giant inputs in json", "application/json", "identity", func() ([]byte, error) { return protojson.Marshal(giantCall(most, "note")) }),
		giantMessage("giant compressed inputs", "application/proto", "gzip", func() ([]byte, error) {
			plain, err := proto.Marshal(giantCall(most, "note"))
			if err != nil {
				return nil, err
			}
			var out bytes.Buffer
			z := gzip.NewWriter(&out)
			if _, err := z.Write(plain); err != nil {
				return nil, err
			}
			err = z.Close()
			return out.Bytes(), err
		}),
	}
}

// giantMessage sends a body that is made once, and does not look at the answer: what the attacker computes is not the attack.
func giantMessage(name, contentType, encoding string, body func() ([]byte, error)) attack {
	once := sync.OnceValues(body)
	return attack{
		name: name, workers: 4,
		prepare: func(t *testing.T, a *attacker) { t.Helper(); mustPublish(t, a.client, giantGraph()) },
		strike: func(ctx context.Context, a *attacker, _, _ int) error {
			body, err := once()
			if err != nil {
				return err
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+tandemv1connect.InferenceServiceInferProcedure, inPieces(body))
			if err != nil {
				return err
			}
			req.ContentLength = int64(len(body))
			req.Header = http.Header{"Content-Type": {contentType}, "Content-Encoding": {encoding}, "Authorization": {"Bearer " + a.key}}
			res, err := browser.Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", res.StatusCode)
			}
			return err
		},
	}
}

// inPieces reads a body some KiB at a time. Written at once, megabytes are one call of the system, within which the sender keeps a core
// of the server's until the clock ticks.
func inPieces(body []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(body)} }
