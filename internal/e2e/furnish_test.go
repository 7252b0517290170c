package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// belongings are the names of what somebody owns, of every kind of object that there is.
type belongings struct {
	tenant                                  string
	model, plugin, graph                    string
	modelDigest, pluginDigest, graphDigest  string
	tag, stream, record                     string
	modelUpload, pluginUpload, uploadDigest string // the names of uploads that are open, and the digest of both
	modelUploadID, pluginUploadID           string
	key                                     string
	asked                                   float32 // what the graph "copy" has been asked, so that the answer is cached
}

// nobodys returns names of the same form and length for what nobody owns. They are as different from each other as those, and come
// where those do between the names of others.
func (b belongings) nobodys() belongings {
	return belongings{
		tenant: "nobody", model: "vacantmodel", plugin: "vacantplugin", graph: "vacantgraph",
		modelDigest: digestOf("0"), pluginDigest: digestOf("1"), graphDigest: digestOf("2"),
		tag: b.tag, stream: "z", record: strings.Map(zeros, b.record),
		modelUpload: "vacantupload1", pluginUpload: "vacantupload2", uploadDigest: digestOf("3"),
		modelUploadID: strings.Map(sameKind('2', 'A', 'a'), b.modelUploadID), pluginUploadID: strings.Map(sameKind('3', 'B', 'b'), b.pluginUploadID),
		key: strings.Map(sameKind('4', 'C', 'c'), b.key), asked: -b.asked, // the answer is the same
	}
}

// digestOf returns a digest that is all one hexadecimal digit.
func digestOf(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// words returns the names that belong to nobody else, the same ones in the same order for everybody.
func (b belongings) words() []string {
	return []string{
		b.tenant, b.model, b.plugin, b.graph, b.modelDigest, b.pluginDigest, b.graphDigest,
		b.modelUpload, b.pluginUpload, b.uploadDigest, b.modelUploadID, b.pluginUploadID, b.key,
		pageOf(b.model), pageOf(b.plugin), pageOf(b.graph),
	}
}

// pageOf is the token of the page that begins with a name: it names what comes before.
func pageOf(name string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(name[:len(name)-1]))
}

// sameKind maps letters and digits to one of their kind, so that what is wrong with one text is wrong with the other.
func sameKind(digit, upper, lower rune) func(rune) rune {
	return func(r rune) rune {
		switch {
		case '0' <= r && r <= '9':
			return digit
		case 'A' <= r && r <= 'Z':
			return upper
		}
		return lower
	}
}

// zeros maps digits, hexadecimal ones too, to 0.
func zeros(r rune) rune {
	if r == '-' {
		return r
	}
	return '0'
}

// furnish gives a tenant something of every kind: a model, a plugin, a graph with releases, a canary and records, tags, uploads that are
// open, a key, and a cached answer. Its names begin with "secret", but for the graph "copy" (see publishCopy).
func furnish(t *testing.T, c *client.Client, tenant string) belongings {
	t.Helper()
	ctx := bounded(t)
	b := belongings{
		tenant: tenant, model: "secretmodel", plugin: "secretplugin", graph: "secretgraph", tag: "prod", stream: "s",
		modelUpload: "secretupload1", pluginUpload: "secretupload2", uploadDigest: digestOf("a"), asked: 1,
	}
	file := fileOf(t, "runners", "onnx", "testdata", "add_sub.onnx")
	m, err := c.PushModel(ctx, b.model, bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	file = fileOf(t, "host", "sandbox", "sandboxtest", "testdata", "hostile.wasm")
	p, err := c.PushPlugin(ctx, b.plugin, bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	b.modelDigest, b.pluginDigest, b.graphDigest = m.GetDigest(), p.GetDigest(), publishSecret(t, c, b)
	furnishTags(t, c, b)
	publishCopy(t, c)
	if _, err := c.Infer(ctx, "copy", vector(b.asked)); err != nil {
		t.Fatal(err)
	}
	b.modelUploadID, b.pluginUploadID = furnishUploads(t, c, b)
	key, err := c.Tenants.CreateKey(ctx, &tandemv1.CreateKeyRequest{Role: tandemv1.Role_ROLE_VIEWER})
	if err != nil {
		t.Fatal(err)
	}
	b.key = key.GetKey().GetId()
	records, err := c.Records.ListRecords(ctx, &tandemv1.ListRecordsRequest{})
	if err != nil || len(records.GetRecords()) != 2 {
		t.Fatalf("got %v, %v, want two records", records, err)
	}
	b.record = records.GetRecords()[0].GetId()
	return b
}

func fileOf(t *testing.T, path ...string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(append([]string{root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// publishSecret publishes a graph that records something, a second release of it, and a third that is its canary; it also publishes one
// that comes after it in lists, and returns the digest of the second release.
func publishSecret(t *testing.T, c *client.Client, b belongings) string {
	t.Helper()
	ctx := bounded(t)
	var digest string
	for i, stage := range []bool{false, false, true} {
		res, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Stage: stage, Document: fmt.Sprintf(`
graph: %s
doc: "%d"
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}, mode: {type: tensor, dtype: INT32, shape: []}}
outputs: {s: {from: m.sum}, n: {from: p.done}}
nodes:
  m: {model: %s, in: {a: a, b: b}}
  p: {plugin: %s, call: host, in: {mode: mode}}
`, b.graph, i, b.model, b.plugin)})
		if err != nil {
			t.Fatal(err)
		}
		if !stage {
			digest = res.GetGraph().GetDigest()
		}
	}
	if _, err := c.Releases.SetCanary(ctx, &tandemv1.SetCanaryRequest{Graph: b.graph, Release: "3", Percent: 10}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Infer(ctx, b.graph, sums()); err != nil {
			t.Fatal(err)
		}
	}
	mustPublish(t, c, "graph: secretlast\ninputs: {text: text}\noutputs: {text: text}\n")
	return digest
}

// sums is what the secret graph takes, to write a record.
func sums() map[string]*tandemv1.Value {
	in := mode(12)
	in["a"], in["b"] = client.Float32s([]int64{1, 3}, []float32{1, 2, 3}), client.Float32s([]int64{1, 3}, []float32{4, 5, 6})
	return in
}

// publishCopy publishes the graph "copy", whose answers are cached, over a plugin "copy". Two tenants that do so run the same bytes.
func publishCopy(t *testing.T, c *client.Client) {
	t.Helper()
	file := fileOf(t, "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	if _, err := c.PushPlugin(bounded(t), "copy", bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, c, "graph: copy\ninputs: {a: {type: tensor, dtype: FP32, shape: [n]}}\noutputs: {y: {from: p.y}}\n"+
		"nodes:\n  p: {plugin: copy, call: dot, in: {a: a, b: a}, cache: true}\n")
}

// vector is what the graph "copy" takes.
func vector(x float32) map[string]*tandemv1.Value {
	return map[string]*tandemv1.Value{"a": client.Float32s([]int64{1}, []float32{x})}
}

var allKinds = []tandemv1.TagKind{tandemv1.TagKind_TAG_KIND_MODEL, tandemv1.TagKind_TAG_KIND_PLUGIN, tandemv1.TagKind_TAG_KIND_GRAPH}

// ofKind returns the name of what is of a kind.
func (b belongings) ofKind(kind tandemv1.TagKind) string {
	return map[tandemv1.TagKind]string{
		tandemv1.TagKind_TAG_KIND_MODEL: b.model, tandemv1.TagKind_TAG_KIND_PLUGIN: b.plugin, tandemv1.TagKind_TAG_KIND_GRAPH: b.graph,
	}[kind]
}

func furnishTags(t *testing.T, c *client.Client, b belongings) {
	t.Helper()
	for _, kind := range allKinds {
		if _, err := c.Tags.SetTag(bounded(t), &tandemv1.SetTagRequest{Kind: kind, Name: b.ofKind(kind), Tag: b.tag}); err != nil {
			t.Fatal(err)
		}
	}
}

// uploadSize is how large the uploads are that stay open.
const uploadSize = 100

// furnishUploads begins an upload of each kind and sends ten bytes of it.
func furnishUploads(t *testing.T, c *client.Client, b belongings) (model, plugin string) {
	t.Helper()
	ctx := bounded(t)
	m, err := c.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: b.modelUpload, SizeBytes: uploadSize, Digest: b.uploadDigest})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plugins.BeginPluginUpload(ctx, &tandemv1.BeginPluginUploadRequest{Name: b.pluginUpload, SizeBytes: uploadSize, Digest: b.uploadDigest})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("0123456789")
	if _, err := c.Models.PutModelChunk(ctx, &tandemv1.PutModelChunkRequest{UploadId: m.GetUploadId(), Data: data, Crc32C: castagnoli(data)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Plugins.PutPluginChunk(ctx, &tandemv1.PutPluginChunkRequest{UploadId: p.GetUploadId(), Data: data, Crc32C: castagnoli(data)}); err != nil {
		t.Fatal(err)
	}
	return m.GetUploadId(), p.GetUploadId()
}

// inventory lists all that a tenant has, with its records and what was changed.
func inventory(t *testing.T, c *client.Client, b belongings) string {
	t.Helper()
	ctx := bounded(t)
	var out strings.Builder
	add := func(m proto.Message, err error) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%T %x\n", m, crc32.ChecksumIEEE(text))
	}
	models, err := c.Models.ListModels(ctx, &tandemv1.ListModelsRequest{})
	for _, m := range models.GetModels() {
		m.Learned = nil // it is what the tenant's own calls taught
	}
	add(models, err)
	plugins, err := c.Plugins.ListPlugins(ctx, &tandemv1.ListPluginsRequest{})
	add(plugins, err)
	graphs, err := c.Graphs.ListGraphs(ctx, &tandemv1.ListGraphsRequest{})
	add(graphs, err)
	releases, err := c.Releases.ListReleases(ctx, &tandemv1.ListReleasesRequest{Graph: b.graph})
	add(releases, err)
	for _, kind := range allKinds {
		tags, err := c.Tags.ListTags(ctx, &tandemv1.ListTagsRequest{Kind: kind, Name: b.ofKind(kind)})
		add(tags, err)
	}
	records, err := c.Records.ListRecords(ctx, &tandemv1.ListRecordsRequest{})
	add(records, err)
	changes, err := c.Tenants.ListChanges(ctx, &tandemv1.ListChangesRequest{PageSize: 1000})
	add(changes, err)
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
