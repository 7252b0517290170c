package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// browser makes requests that no client of ours makes.
var browser = &http.Client{Transport: &http.Transport{}}

// caller calls a graph over one protocol.
type caller func(ctx context.Context, graph string, in map[string]*tandemv1.Value) (*tandemv1.InferResponse, error)

// callers returns one caller for each protocol that the server speaks.
func callers(t *testing.T, s *rig.Server) map[string]caller {
	t.Helper()
	connect := func(opts ...client.Option) caller {
		c, err := client.New(s.URL, append(opts, client.WithKey(s.Key))...)
		if err != nil {
			t.Fatal(err)
		}
		return func(ctx context.Context, graph string, in map[string]*tandemv1.Value) (*tandemv1.InferResponse, error) {
			return c.Infer(ctx, graph, in)
		}
	}
	http1 := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(http1.CloseIdleConnections)
	return map[string]caller{
		"curl, Connect JSON": curl(t, s),
		"gRPC":               connect(client.WithGRPC()),
		"gRPC-Web, HTTP/1.1": connect(client.WithGRPCWeb(), client.WithHTTPClient(http1)),
	}
}

// curl posts the request's JSON with curl, as a person would.
func curl(t *testing.T, s *rig.Server) caller {
	t.Helper()
	bin, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("curl is missing: install it (Debian and Ubuntu: apt-get install curl)")
	}
	return func(ctx context.Context, graph string, in map[string]*tandemv1.Value) (*tandemv1.InferResponse, error) {
		body, err := protojson.Marshal(&tandemv1.InferRequest{Graph: graph, Inputs: in})
		if err != nil {
			return nil, err
		}
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(ctx, bin, "--silent", "--show-error", "--header", "Content-Type: application/json",
			"--header", "Authorization: Bearer "+s.Key, "--data-binary", "@-", s.URL+"/tandem.v1.InferenceService/Infer")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(body), &out, &errs
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, errs.Bytes())
		}
		var failure struct{ Code, Message string }
		if json.Unmarshal(out.Bytes(), &failure) == nil && failure.Code != "" {
			return nil, fmt.Errorf("%s: %s", failure.Code, failure.Message)
		}
		res := &tandemv1.InferResponse{}
		return res, protojson.Unmarshal(out.Bytes(), res)
	}
}

// bounded returns a context for one call.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// normalise takes case and white space away.
func normalise(s string) []rune { return []rune(strings.ToLower(strings.Join(strings.Fields(s), ""))) }

// distance returns how many characters must be inserted, deleted or changed to make b of a.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
