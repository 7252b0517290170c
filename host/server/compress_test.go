package server_test

import (
	"net/http"
	"testing"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestOnlyLongAnswersAreCompressed asks as clients do that take gzip without having been told to: a short answer comes as it
// is, a long one is compressed. The client of this project does not ask unless it is told to.
func TestOnlyLongAnswersAreCompressed(t *testing.T) {
	r := run(t, config(t))
	encoding := func(procedure, body string) string {
		head, _ := r.do(t, http.MethodPost, "/tandem.v1."+procedure, body, map[string]string{
			"Accept-Encoding": "gzip", "Authorization": "Bearer " + r.key,
		})
		return head.Get("Content-Encoding")
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
