package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// scopedRoles are the roles that keys for some graphs may have.
var scopedRoles = []tandemv1.Role{tandemv1.Role_ROLE_VIEWER, tandemv1.Role_ROLE_PUBLISHER, tandemv1.Role_ROLE_CALLER}

// mayScoped says for each method what a viewer, a publisher and a caller get who are kept to the graph "ours": when the call names
// "ours" or what is named after it, when it names something else of their tenant's, and when it names nothing. + is that the call is
// let through to its handler, - that the key does not allow it, 0 that there is no such upload.
var mayScoped = map[string]string{
	"Infer":       "--- +-- +--",
	"InferStream": "--- +-- +--",

	"BeginModelUpload":   "--- +-- ---",
	"PutModelChunk":      "--- +00 ---",
	"FinishModelUpload":  "--- +00 ---",
	"DeleteModel":        "--- +-- ---",
	"GetModel":           "+-- +-- ---",
	"ListModels":         "+-+ +-+ ---",
	"BeginPluginUpload":  "--- +-- ---",
	"PutPluginChunk":     "--- +00 ---",
	"FinishPluginUpload": "--- +00 ---",
	"DeletePlugin":       "--- +-- ---",
	"GetPlugin":          "+-- +-- ---",
	"ListPlugins":        "+-+ +-+ ---",

	"PublishGraph":  "--- +-+ ---",
	"DeleteGraph":   "--- +-- ---",
	"ValidateGraph": "+-+ +-+ ---",
	"GetGraph":      "+-- +-- +--",
	"ListGraphs":    "+++ +++ ---", // it names nothing

	"Rollback":      "--- +-- ---",
	"SetCanary":     "--- +-- ---",
	"PromoteCanary": "--- +-- ---",
	"AbortCanary":   "--- +-- ---",
	"ListReleases":  "+-- +-- ---",
	"GetRelease":    "+-- +-- ---",
	"DiffReleases":  "+-- +-- ---",

	"SetTag":    "--- +-- ---",
	"DeleteTag": "--- +-- ---",
	"ListTags":  "+-- +-- ---",

	"ListRecords":   "+-+ +-+ ---",
	"GetServerInfo": "+++ +++ +++",
	"GetPlan":       "+++ +++ ---",

	"CreateTenant": "--- --- ---", "GetTenant": "--- --- ---", "ListTenants": "--- --- ---", "SetTenantLimits": "--- --- ---",
	"SuspendTenant": "--- --- ---", "ResumeTenant": "--- --- ---", "DeleteTenant": "--- --- ---", "CreateKey": "--- --- ---",
	"ListKeys": "--- --- ---", "RotateKey": "--- --- ---", "RevokeKey": "--- --- ---", "GetUsage": "--- --- ---", "ListChanges": "--- --- ---",
}

// scopedKey makes a key for some graphs.
func scopedKey(t *testing.T, admin *client.Client, role tandemv1.Role, graphs ...string) string {
	t.Helper()
	res, err := admin.Tenants.CreateKey(bounded(t), &tandemv1.CreateKeyRequest{Role: role, Graphs: graphs})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetPlain()
}

// TestScopedKeys calls every method with a key of every role that can be kept to some graphs.
func TestScopedKeys(t *testing.T) {
	s := start(t, rig.Options{})
	admin := newTenant(t, s, "acme")
	furnish(t, admin, "acme")
	for _, role := range scopedRoles {
		key := scopedKey(t, admin, role, "ours")
		for _, md := range methods() {
			table, ok := mayScoped[string(md.Name())]
			if !ok {
				t.Fatalf("it is not said who may call %s", md.FullName())
			}
			want := strings.Fields(table)[scopedIndex(role)]
			var got strings.Builder
			for _, about := range []string{"ours", "secret", ""} {
				status, answer := post(bounded(t), t, s, key, md, scopedCall(t, admin, md, about))
				got.WriteString(verdict(status, answer))
			}
			if got.String() != want {
				t.Errorf("%s as %s: got %s, want %s", md.FullName(), role, got.String(), want)
			}
		}
	}
}

func scopedIndex(role tandemv1.Role) int {
	for i, r := range scopedRoles {
		if r == role {
			return i
		}
	}
	return -1
}

// verdict says what became of a call.
func verdict(status int, answer string) string {
	switch {
	case strings.Contains(answer, "REASON_FORBIDDEN"):
		return "-"
	case status == http.StatusNotFound && strings.Contains(answer, "upload: not found"):
		return "0"
	}
	return "+"
}

// filled returns a message with text in every string, and something in every other field.
func filled(d protoreflect.MessageDescriptor, text string, depth int) proto.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.ContainingOneof() != nil && f.ContainingOneof().Fields().Get(0) != f {
			continue
		}
		switch {
		case f.IsMap(): // inputs of a graph: what is wrong with them would be found before the graph is looked for
		case f.IsList():
			if f.Kind() == protoreflect.StringKind {
				m.Mutable(f).List().Append(protoreflect.ValueOfString(text))
			}
		case f.Kind() == protoreflect.MessageKind:
			if depth > 0 && !strings.HasPrefix(string(f.Message().FullName()), "google.") {
				m.Set(f, protoreflect.ValueOfMessage(filled(f.Message(), text, depth-1).ProtoReflect()))
			}
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(text))
		case f.Kind() == protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(f.Enum().Values().Get(min(1, f.Enum().Values().Len()-1)).Number()))
		case f.Kind() == protoreflect.Int64Kind:
			m.Set(f, protoreflect.ValueOfInt64(1))
		}
	}
	return m
}

// scopedCall returns a call of a method about the graph "ours" or what is named after it, about what begins with "secret", or about
// nothing.
func scopedCall(t *testing.T, admin *client.Client, md protoreflect.MethodDescriptor, about string) proto.Message {
	t.Helper()
	if about == "" {
		return filled(md.Input(), "", 0)
	}
	name := about + "graph"
	if about == "ours" {
		name = about
	}
	switch service := string(md.Parent().Name()); {
	case strings.HasSuffix(string(md.Name()), "Upload") && !strings.HasPrefix(string(md.Name()), "Begin"), strings.HasSuffix(string(md.Name()), "Chunk"):
		name = beginScoped(t, admin, service, about)
	case service == "ModelService" || service == "PluginService" || service == "TagService": // the first kind of tags is models'
		name = map[string]string{"ours": "ours.it", "secret": "secretmodel"}[about]
	}
	m := filled(md.Input(), name, 3)
	if form := md.Input().Fields().ByName("form"); form != nil {
		m.ProtoReflect().Clear(form) // the role caller gets none
	}
	if doc := md.Input().Fields().ByName("document"); doc != nil {
		m.ProtoReflect().Set(doc, protoreflect.ValueOfString("graph: "+name+"\ninputs: {text: text}\noutputs: {text: text}\n"))
		m.ProtoReflect().Clear(md.Input().Fields().ByName("definition"))
	}
	return m
}

// beginScoped begins an upload for somebody and returns its id.
func beginScoped(t *testing.T, admin *client.Client, service, about string) string {
	t.Helper()
	name, digest := map[string]string{"ours": "ours.it", "secret": "secretmodel"}[about], "sha256:"+strings.Repeat("cd", 32)
	if service == "ModelService" {
		res, err := admin.Models.BeginModelUpload(bounded(t), &tandemv1.BeginModelUploadRequest{Name: name, SizeBytes: 100, Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetUploadId()
	}
	res, err := admin.Plugins.BeginPluginUpload(bounded(t), &tandemv1.BeginPluginUploadRequest{Name: name, SizeBytes: 100, Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetUploadId()
}

// TestScopedKeysSeeNothingElse has keys that are kept to one graph ask for everything else that their tenant has: they learn no more
// of it than of what nobody has, and change none of it.
func TestScopedKeysSeeNothingElse(t *testing.T) {
	s := start(t, rig.Options{})
	admin := newTenant(t, s, "acme")
	if _, err := s.Client.Tenants.SetTenantLimits(bounded(t), &tandemv1.SetTenantLimitsRequest{Name: "acme", Limits: tenantLimits(-1)}); err != nil {
		t.Fatal(err)
	}
	own := furnish(t, admin, "acme")
	publishOurs(t, admin)
	secrets := slices.DeleteFunc(append(own.words(), "secret", own.record), func(s string) bool {
		return s == own.tenant || s == own.modelDigest // they are theirs too
	})
	for _, role := range scopedRoles {
		key := scopedKey(t, admin, role, "ours")
		before := inventory(t, admin, own)
		findNothing(t, s, key, own, secrets)
		if after := inventory(t, admin, own); after != before {
			t.Errorf("%s changed something:\n%s\nbefore:\n%s", role, after, before)
		}
	}
}

// publishOurs publishes a graph "ours" over a model of its own, which the graph "secretgraph2" runs too.
func publishOurs(t *testing.T, admin *client.Client) {
	t.Helper()
	model, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	apart := client.WithModelOptions(&tandemv1.ModelOptions{MaxRows: 7}) // not one in memory with the other one of the same bytes
	if _, err := admin.PushModel(bounded(t), "ours.it", bytes.NewReader(model), int64(len(model)), apart); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ours", "secretgraph2"} {
		if _, err := admin.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: fmt.Sprintf(`
graph: %s
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}
outputs: {s: {from: m.sum}}
nodes:
  m: {model: ours.it, in: {a: a, b: b}}
`, name)}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestScopedPublisher has a publisher who is kept to a graph do its work, and try what would reach others.
func TestScopedPublisher(t *testing.T) {
	s := start(t, rig.Options{})
	admin := newTenant(t, s, "acme")
	furnish(t, admin, "acme")
	publishOurs(t, admin)
	c, err := client.New(s.URL, client.WithKey(scopedKey(t, admin, tandemv1.Role_ROLE_PUBLISHER, "ours")))
	if err != nil {
		t.Fatal(err)
	}
	ctx := bounded(t)
	_, err = c.Models.DeleteModel(ctx, &tandemv1.DeleteModelRequest{Name: "ours.it"})
	if client.Reason(err) != tandemv1.Reason_REASON_IN_USE || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "ours@1") {
		t.Errorf("deleting what others use: got %v", err)
	}
	models, err := c.Models.ListModels(ctx, &tandemv1.ListModelsRequest{PageSize: 1})
	if err != nil || len(models.GetModels()) != 1 || models.GetModels()[0].GetName() != "ours.it" || models.GetNextPageToken() != "" {
		t.Errorf("got models %v, %v", models, err)
	}
	graphs, err := c.Graphs.ListGraphs(ctx, &tandemv1.ListGraphsRequest{PageSize: 1})
	if err != nil || len(graphs.GetGraphs()) != 1 || graphs.GetGraphs()[0].GetName() != "ours" || graphs.GetNextPageToken() != "" {
		t.Errorf("got graphs %v, %v", graphs, err)
	}
	plan, err := c.Server.GetPlan(ctx, &tandemv1.GetPlanRequest{})
	if err != nil || len(plan.GetModels()) != 1 || strings.Contains(plan.String(), "secret") {
		t.Errorf("got the plan %v, %v", plan, err)
	}
	info, err := c.Server.GetServerInfo(ctx, &tandemv1.GetServerInfoRequest{})
	if err != nil || len(info.GetGraphs()) != 1 || info.GetGraphs()[0] != "ours" {
		t.Errorf("got %v, %v", info, err)
	}
	doc := "graph: ours\ninputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}}\noutputs: {s: {from: n.s}}\n" +
		"nodes:\n  n: {graph: secretgraph, in: {a: a, b: a}}\n"
	if _, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: doc}); client.Reason(err) != tandemv1.Reason_REASON_GRAPH_INVALID {
		t.Errorf("calling another graph through one's own: got %v", err)
	}
}
