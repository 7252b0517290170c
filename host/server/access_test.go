package server_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/server"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// publishSecret publishes a graph whose every part but its ports has "secret" in its name.
func publishSecret(t *testing.T, c *client.Client) {
	t.Helper()
	wasm := sandboxtest.Module(t, "values")
	if _, err := c.PushPlugin(t.Context(), "secretplugin", bytes.NewReader(wasm), int64(len(wasm))); err != nil {
		t.Fatal(err)
	}
	_, err := c.Graphs.PublishGraph(t.Context(), &tandemv1.PublishGraphRequest{Document: `
graph: shown
inputs: {given: {type: tensor, dtype: FP32, shape: [n]}}
outputs: {taken: {from: secretnode.tensor}}
nodes:
  secretnode: {plugin: secretplugin, call: copy, in: {tensor: given}}
`})
	if err != nil {
		t.Fatal(err)
	}
}

// keyOf makes a key of the caller's tenant and returns a client that has it.
func (r *running) keyOf(t *testing.T, role tandemv1.Role, graphs ...string) (*client.Client, string) {
	t.Helper()
	res, err := r.Tenants.CreateKey(t.Context(), &tandemv1.CreateKeyRequest{Role: role, Graphs: graphs})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(r.url, client.WithKey(res.GetPlain()), client.WithHTTPClient(r.http))
	if err != nil {
		t.Fatal(err)
	}
	return c, res.GetPlain()
}

// TestFormsAreForWhoSeesTheInside asks for a graph in every form with a key of every role. Who may only call gets what the graph takes
// and gives, and no form.
func TestFormsAreForWhoSeesTheInside(t *testing.T) {
	r := run(t, config(t))
	publishSecret(t, r.Client)
	for name, tc := range map[string]struct {
		role   tandemv1.Role
		graphs []string
		inside bool
	}{
		"caller":                  {tandemv1.Role_ROLE_CALLER, nil, false},
		"caller of this graph":    {tandemv1.Role_ROLE_CALLER, []string{"shown"}, false},
		"viewer":                  {tandemv1.Role_ROLE_VIEWER, nil, true},
		"viewer of this graph":    {tandemv1.Role_ROLE_VIEWER, []string{"shown"}, true},
		"publisher":               {tandemv1.Role_ROLE_PUBLISHER, nil, true},
		"publisher of this graph": {tandemv1.Role_ROLE_PUBLISHER, []string{"shown"}, true},
		"admin":                   {tandemv1.Role_ROLE_ADMIN, nil, true},
	} {
		c, _ := r.keyOf(t, tc.role, tc.graphs...)
		for form, kind := range tandemv1.GraphForm_name {
			form := tandemv1.GraphForm(form)
			res, err := c.Graphs.GetGraph(t.Context(), &tandemv1.GetGraphRequest{Name: "shown", Form: form})
			switch {
			case !tc.inside && form != tandemv1.GraphForm_GRAPH_FORM_UNSPECIFIED:
				if client.Reason(err) != tandemv1.Reason_REASON_FORBIDDEN || !strings.Contains(client.Message(err), "viewer") || res != nil {
					t.Errorf("%s, %s: got %v, %v, want a refusal that says which role may", name, kind, res, err)
				}
			case err != nil || len(res.GetGraph().GetInputs()) != 1 || len(res.GetGraph().GetOutputs()) != 1:
				t.Errorf("%s, %s: got %v, %v", name, kind, res, err)
			case tc.inside != strings.Contains(prototext.Format(res.GetGraph()), "secret"):
				t.Errorf("%s, %s: got %v; want the inside: %v", name, kind, res, tc.inside)
			case form != tandemv1.GraphForm_GRAPH_FORM_UNSPECIFIED && !strings.Contains(res.GetWritten()+prototext.Format(res.GetDefinition()), "secretnode"):
				t.Errorf("%s, %s: the form is %q and %v", name, kind, res.GetWritten(), res.GetDefinition())
			}
		}
	}
}

// TestRefusedFormsTellNothing compares the refusals of forms of a graph that is there and of one that is not.
func TestRefusedFormsTellNothing(t *testing.T) {
	r := run(t, config(t))
	publishSecret(t, r.Client)
	c, _ := r.keyOf(t, tandemv1.Role_ROLE_CALLER)
	var said []string
	for _, name := range []string{"shown", "nobodys"} {
		_, err := c.Graphs.GetGraph(t.Context(), &tandemv1.GetGraphRequest{Name: name, Form: tandemv1.GraphForm_GRAPH_FORM_SVG})
		said = append(said, client.Message(err))
	}
	if said[0] != said[1] || said[0] == "" {
		t.Errorf("got %q", said)
	}
}

// TestMetricsAndProfilesNeedAKey asks for both from this machine, as every user of it and what comes through a proxy on it may.
func TestMetricsAndProfilesNeedAKey(t *testing.T) {
	cfg := config(t)
	cfg.Profiles = true
	r := run(t, cfg)
	publishSecret(t, r.Client)
	value := client.Float32s([]int64{1}, []float32{1})
	if _, err := r.Infer(t.Context(), "shown", map[string]*tandemv1.Value{"given": value}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Tenants.CreateTenant(t.Context(), &tandemv1.CreateTenantRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	boss, err := r.Tenants.CreateKey(t.Context(), &tandemv1.CreateKeyRequest{Tenant: "acme", Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		t.Fatal(err)
	}
	_, viewer := r.keyOf(t, tandemv1.Role_ROLE_VIEWER)
	_, publisher := r.keyOf(t, tandemv1.Role_ROLE_PUBLISHER)
	_, caller := r.keyOf(t, tandemv1.Role_ROLE_CALLER)
	for name, tc := range map[string]struct {
		authorization     string
		metrics, profiles int
	}{
		"no key":                   {"", http.StatusUnauthorized, http.StatusUnauthorized},
		"nonsense":                 {"Bearer nonsense", http.StatusUnauthorized, http.StatusUnauthorized},
		"the beginning of a key":   {"Bearer tdmm_", http.StatusUnauthorized, http.StatusUnauthorized},
		"an admin of the default":  {"Bearer " + r.key, http.StatusOK, http.StatusOK},
		"an admin of a tenant":     {"Bearer " + boss.GetPlain(), http.StatusForbidden, http.StatusForbidden},
		"a viewer of the default":  {"Bearer " + viewer, http.StatusForbidden, http.StatusForbidden},
		"a publisher of it":        {"Bearer " + publisher, http.StatusForbidden, http.StatusForbidden},
		"a caller of it":           {"Bearer " + caller, http.StatusForbidden, http.StatusForbidden},
		"the key for the metrics":  {"Bearer " + metricsKey(t, cfg), http.StatusOK, http.StatusUnauthorized},
		"that key without its end": {"Bearer " + metricsKey(t, cfg)[:20], http.StatusUnauthorized, http.StatusUnauthorized},
	} {
		for path, want := range map[string]int{
			"/metrics": tc.metrics, "/debug/pprof/": tc.profiles, "/debug/pprof/heap?debug=1": tc.profiles, "/debug/pprof/cmdline": tc.profiles,
		} {
			status, text := r.get(t, path, tc.authorization)
			if status != want || status != http.StatusOK && strings.Contains(text, "secret") {
				t.Errorf("%s, %s: got %d, want %d: %.100s", name, path, status, want, text)
			}
			if path == "/metrics" && status == http.StatusOK && !strings.Contains(text, "secretnode") {
				t.Errorf("%s: the metrics name no node", name)
			}
		}
	}
}

// TestMetricsKeyIsForThemAlone calls the API with the key for the metrics, and looks at how it is kept.
func TestMetricsKeyIsForThemAlone(t *testing.T) {
	cfg := config(t)
	r := run(t, cfg)
	key := metricsKey(t, cfg)
	c, err := client.New(r.url, client.WithKey(key), client.WithHTTPClient(r.http))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Server.GetServerInfo(t.Context(), &tandemv1.GetServerInfoRequest{}); client.Reason(err) != tandemv1.Reason_REASON_WRONG_KEY {
		t.Errorf("a call with it: got %v, want a refusal", err)
	}
	info, err := os.Stat(filepath.Join(cfg.DataDir, server.MetricsKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file that is its owner's only", info, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	again := run(t, cfg)
	if status, _ := again.get(t, "/metrics", "Bearer "+key); status != http.StatusOK {
		t.Errorf("after a restart: got %d", status)
	}
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "\n", "tdmm_", "tdmm_short\n", "something else that is long enough for a key\n"} {
		if err := os.WriteFile(filepath.Join(cfg.DataDir, server.MetricsKeyFile), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := server.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "remove it to get a new one") {
			t.Errorf("with %q: got %v, want what to do", damaged, err)
		}
	}
}

// metricsKey reads the key for the metrics.
func metricsKey(t *testing.T, cfg server.Config) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(cfg.DataDir, server.MetricsKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// get asks for a path and returns the answer, whatever it is.
func (r *running) get(t *testing.T, path, authorization string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
