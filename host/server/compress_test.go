package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestOnlyLongAnswersAreCompressed asks as clients do that take gzip without having been told to: a short answer comes as it
// is, a long one is compressed. The client of this project does not ask unless it is told to.
func TestOnlyLongAnswersAreCompressed(t *testing.T) {
	r := run(t, config(t))
	encoding := func(procedure, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/tandem.v1."+procedure, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept-Encoding", "gzip")
		req.Header.Set("Authorization", "Bearer "+r.key)
		res, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v: %s", procedure, res.StatusCode, err, b)
		}
		return res.Header.Get("Content-Encoding")
	}
	if got := encoding("ServerService/GetServerInfo", "{}"); got != "" {
		t.Errorf("a short answer came with encoding %q", got)
	}
	for range 60 {
		if _, err := r.Tenants.CreateKey(t.Context(), &tandemv1.CreateKeyRequest{Name: "a-name-that-is-long-enough", Role: tandemv1.Role_ROLE_CALLER}); err != nil {
			t.Fatal(err)
		}
	}
	if got := encoding("TenantService/ListKeys", "{}"); got != "gzip" {
		t.Errorf("a long answer came with encoding %q, want gzip", got)
	}
	zipped, err := client.New(r.url, client.WithKey(r.key), client.WithGzip())
	if err != nil {
		t.Fatal(err)
	}
	if res, err := zipped.Tenants.ListKeys(t.Context(), &tandemv1.ListKeysRequest{}); err != nil || len(res.GetKeys()) < 60 {
		t.Errorf("with gzip: got %d keys, %v", len(res.GetKeys()), err)
	}
}
