package server_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
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
