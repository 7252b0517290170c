package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// newTenant makes a tenant with an admin key.
func newTenant(t *testing.T, s *rig.Server, name string) *client.Client {
	t.Helper()
	c, _ := newTenantWithKey(t, s, name, nil)
	return c
}

func newTenantWithKey(t *testing.T, s *rig.Server, name string, limits *tandemv1.TenantLimits) (*client.Client, string) {
	t.Helper()
	ctx := bounded(t)
	if _, err := s.Client.Tenants.CreateTenant(ctx, &tandemv1.CreateTenantRequest{Name: name, Limits: limits}); err != nil {
		t.Fatal(err)
	}
	res, err := s.Client.Tenants.CreateKey(ctx, &tandemv1.CreateKeyRequest{Tenant: name, Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(s.URL, client.WithKey(res.GetPlain()))
	if err != nil {
		t.Fatal(err)
	}
	return c, res.GetPlain()
}

// belongings is what a victim owns, by every way to name it.
type belongings struct {
	names   []string // that only the victim uses
	digests []string
	ids     []string // of keys and uploads
}

// furnish gives a tenant one thing of every kind. All of its names begin with "secret".
func furnish(t *testing.T, c *client.Client) belongings {
	t.Helper()
	ctx := bounded(t)
	model, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.PushModel(ctx, "secretmodel", bytes.NewReader(model), int64(len(model)))
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(filepath.Join(root(t), "host", "sandbox", "sandboxtest", "testdata", "values.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.PushPlugin(ctx, "secretplugin", bytes.NewReader(wasm), int64(len(wasm)))
	if err != nil {
		t.Fatal(err)
	}
	var g *tandemv1.Graph
	for i := range 2 {
		res, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: fmt.Sprintf(`
graph: secretgraph
doc: "%d"
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}
outputs: {s: {from: m.sum}}
nodes:
  m: {model: secretmodel, in: {a: a, b: b}}
`, i)})
		if err != nil {
			t.Fatal(err)
		}
		g = res.GetGraph()
	}
	for _, kind := range []tandemv1.TagKind{tandemv1.TagKind_TAG_KIND_MODEL, tandemv1.TagKind_TAG_KIND_PLUGIN, tandemv1.TagKind_TAG_KIND_GRAPH} {
		name := map[tandemv1.TagKind]string{
			tandemv1.TagKind_TAG_KIND_MODEL: "secretmodel", tandemv1.TagKind_TAG_KIND_PLUGIN: "secretplugin", tandemv1.TagKind_TAG_KIND_GRAPH: "secretgraph",
		}[kind]
		if _, err := c.Tags.SetTag(ctx, &tandemv1.SetTagRequest{Kind: kind, Name: name, Tag: "prod"}); err != nil {
			t.Fatal(err)
		}
	}
	up, err := c.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{
		Name: "secretupload", SizeBytes: 100, Digest: "sha256:" + strings.Repeat("ab", 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.Tenants.ListKeys(ctx, &tandemv1.ListKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return belongings{
		names:   []string{"secretmodel", "secretplugin", "secretgraph", "secretupload", "victim"},
		digests: []string{m.GetDigest(), p.GetDigest(), g.GetDigest()},
		ids:     []string{up.GetUploadId(), keys.GetKeys()[0].GetId()},
	}
}

// methods returns all methods of the API.
func methods() []protoreflect.MethodDescriptor {
	var ms []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("tandem.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				ms = append(ms, s.Methods().Get(j))
			}
		}
		return true
	})
	return ms
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

// post calls a method as JSON and returns the status and the answer.
func post(ctx context.Context, t *testing.T, s *rig.Server, key string, md protoreflect.MethodDescriptor, m proto.Message) (int, string) {
	t.Helper()
	body, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	contentType := "application/json"
	if md.IsStreamingServer() {
		contentType = "application/connect+json"
		head := make([]byte, 5)
		binary.BigEndian.PutUint32(head[1:], uint32(len(body)))
		body = append(head, body...)
	}
	url := fmt.Sprintf("%s/%s/%s", s.URL, md.Parent().FullName(), md.Name())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// blurred takes out of an answer what differs from call to call or repeats the question.
func blurred(answer, question string) string {
	name, _, _ := strings.Cut(question, "@")
	answer = strings.ReplaceAll(strings.ReplaceAll(answer, question, "<it>"), name, "<its name>")
	if i := strings.IndexByte(answer, '{'); i > 0 {
		answer = answer[i:] // the envelope of a stream
	}
	var doc map[string]any
	if json.Unmarshal([]byte(answer), &doc) != nil {
		return answer
	}
	delete(doc, "uptime")
	if inner, ok := doc["error"].(map[string]any); ok {
		doc = inner
	}
	if details, ok := doc["details"].([]any); ok {
		for _, d := range details {
			one, ok := d.(map[string]any)
			if !ok {
				continue
			}
			delete(one, "value") // the same in binary, with the request's id
			if debug, ok := one["debug"].(map[string]any); ok {
				delete(debug, "requestId")
			}
		}
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return answer
	}
	return string(out)
}

// TestTenantsSeeNothingOfEachOther has one tenant call every method with every way to name what another one owns, as an admin
// of its own tenant. No answer names anything of the other; every answer is, but for the name itself, what the same call gives
// for a name that nobody has; and nothing of the other has changed.
func TestTenantsSeeNothingOfEachOther(t *testing.T) {
	s := start(t, rig.Options{})
	victim := newTenant(t, s, "victim")
	_, attackKey := newTenantWithKey(t, s, "attacker", tenantLimits(-1))
	own := furnish(t, victim)
	before := inventory(t, victim)
	findNothing(t, s, attackKey, own)
	if after := inventory(t, victim); after != before {
		t.Errorf("the victim's things changed:\n%s\nbefore:\n%s", after, before)
	}
}

// question is a way to name something, with one of the same form that names nothing.
type question struct{ real, twin string }

// questions returns every way to name what somebody owns.
func questions(own belongings) []question {
	var qs []question
	twinDigest := "sha256:" + strings.Repeat("0", 64)
	for _, name := range own.names {
		twin := "nobody" + name[min(len(name), 6):]
		if name == "victim" {
			twin = "nobodys"
		}
		qs = append(qs, question{name, twin})
		if strings.HasPrefix(name, "secret") {
			for _, at := range []string{"@1", "@2", "@prod", "@latest"} {
				qs = append(qs, question{name + at, twin + at})
			}
			for _, d := range own.digests {
				qs = append(qs, question{name + "@" + d, twin + "@" + twinDigest})
			}
		}
	}
	for _, d := range own.digests {
		qs = append(qs, question{d, twinDigest})
	}
	for _, id := range own.ids {
		qs = append(qs, question{id, strings.Map(sameKind, id)})
	}
	return qs
}

// findNothing has the holder of a key call every method with every question about what somebody else owns.
func findNothing(t *testing.T, s *rig.Server, key string, own belongings) {
	t.Helper()
	secrets := append(append([]string{"secret"}, own.digests...), own.ids...)
	calls := 0
	for _, md := range methods() {
		for _, q := range questions(own) {
			ctx := bounded(t)
			status, answer := post(ctx, t, s, key, md, filled(md.Input(), q.real, 3))
			twinStatus, twinAnswer := post(ctx, t, s, key, md, filled(md.Input(), q.twin, 3))
			calls++
			got, want := blurred(answer, q.real), blurred(twinAnswer, q.twin)
			if strings.HasPrefix(string(md.Name()), "Begin") {
				got, want = onlyOffset(got), onlyOffset(want) // the upload's id is a new one each time
			}
			if md.Name() == "CreateKey" || md.Name() == "GetUsage" || md.Name() == "ListChanges" || md.Name() == "GetTenant" {
				// About the caller's own tenant when nothing is named; here something is.
				got, want = firstWords(got), firstWords(want)
			}
			if status != twinStatus || got != want {
				t.Errorf("%s tells %q from %q:\n%d %s\n%d %s", md.FullName(), q.real, q.twin, status, got, twinStatus, want)
			}
			for _, secret := range secrets {
				if secret != q.real && !strings.Contains(q.real, secret) && strings.Contains(answer, secret) {
					t.Errorf("%s(%q) names %q: %s", md.FullName(), q.real, secret, answer)
				}
			}
		}
	}
	t.Logf("%d pairs of calls", calls)
}

// sameKind maps letters and digits to others of their kind, so that what is wrong with one text is wrong with the other.
func sameKind(r rune) rune {
	switch {
	case '0' <= r && r <= '9':
		return '2'
	case 'A' <= r && r <= 'Z':
		return 'A'
	}
	return 'a'
}

func tenantLimits(all float64) *tandemv1.TenantLimits {
	n := int64(all)
	return &tandemv1.TenantLimits{
		RequestsPerSecond: all, InFlight: n, BytesInFlight: n, PluginMemoryBytes: n, FuelPerSecond: all, LoadedModels: n,
		ModelMemoryBytes: n, BlobBytes: n, Objects: n, RecordsPerSecond: all, UploadBytesPerSecond: all,
	}
}

// onlyOffset keeps of the answer to the begin of an upload what could tell of somebody else's.
func onlyOffset(answer string) string {
	var doc map[string]any
	if json.Unmarshal([]byte(answer), &doc) == nil {
		delete(doc, "uploadId")
		out, _ := json.Marshal(doc) // it was JSON
		return string(out)
	}
	return answer
}

func firstWords(answer string) string {
	return answer[:min(len(answer), 40)]
}

// inventory lists all that a tenant has.
func inventory(t *testing.T, c *client.Client) string {
	t.Helper()
	ctx := bounded(t)
	var out strings.Builder
	add := func(m proto.Message, err error) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%T %x\n", m, crc32.ChecksumIEEE(b))
	}
	models, err := c.Models.ListModels(ctx, &tandemv1.ListModelsRequest{})
	add(models, err)
	plugins, err := c.Plugins.ListPlugins(ctx, &tandemv1.ListPluginsRequest{})
	add(plugins, err)
	graphs, err := c.Graphs.ListGraphs(ctx, &tandemv1.ListGraphsRequest{})
	add(graphs, err)
	releases, err := c.Releases.ListReleases(ctx, &tandemv1.ListReleasesRequest{Graph: "secretgraph"})
	add(releases, err)
	keys, err := c.Tenants.ListKeys(ctx, &tandemv1.ListKeysRequest{})
	for _, k := range keys.GetKeys() {
		k.LastUseTime = nil
	}
	add(keys, err)
	tenant, err := c.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{})
	if err == nil {
		tenant.GetTenant().Use = &tandemv1.TenantUse{Objects: tenant.GetTenant().GetUse().GetObjects(), BlobBytes: tenant.GetTenant().GetUse().GetBlobBytes()}
	}
	add(tenant, err)
	return out.String()
}

// TestDigestsAreNoOracle begins an upload of bytes that another tenant has stored: the server wants all of them, and nothing
// becomes of a digest whose bytes did not come.
func TestDigestsAreNoOracle(t *testing.T) {
	s := start(t, rig.Options{})
	victim, attacker := newTenant(t, s, "victim"), newTenant(t, s, "attacker")
	own := furnish(t, victim)
	ctx := bounded(t)
	info, err := os.Stat(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	up, err := attacker.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: "mine", SizeBytes: info.Size(), Digest: own.digests[0]})
	if err != nil || up.GetCommittedOffset() != 0 {
		t.Fatalf("got %v, %v", up, err)
	}
	if _, err := attacker.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()}); client.Reason(err) != tandemv1.Reason_REASON_UPLOAD_OFFSET {
		t.Errorf("a digest without its bytes: got %v", err)
	}
	junk := bytes.Repeat([]byte{7}, int(info.Size()))
	sum := crc32.Checksum(junk, crc32.MakeTable(crc32.Castagnoli))
	if _, err := attacker.Models.PutModelChunk(ctx, &tandemv1.PutModelChunkRequest{UploadId: up.GetUploadId(), Data: junk, Crc32C: sum}); err != nil {
		t.Fatal(err)
	}
	if _, err := attacker.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()}); client.Reason(err) != tandemv1.Reason_REASON_DIGEST_MISMATCH {
		t.Errorf("other bytes under the digest: got %v", err)
	}
}
