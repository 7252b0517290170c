package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// What FuzzCalls chooses from. New ones go to the end: the corpus names them by number.
var (
	fuzzProcedures = []string{
		"InferenceService/Infer", "InferenceService/InferStream", "GraphService/PublishGraph", "GraphService/GetGraph", "GraphService/ListGraphs",
		"ModelService/BeginModelUpload", "ModelService/PutModelChunk", "ModelService/FinishModelUpload", "ModelService/ListModels",
		"PluginService/BeginPluginUpload", "PluginService/PutPluginChunk", "PluginService/FinishPluginUpload", "PluginService/GetPlugin",
		"TagService/SetTag", "ReleaseService/ListReleases", "RecordService/ListRecords", "TenantService/GetUsage", "TenantService/ListChanges",
		"TenantService/CreateKey", "ServerService/GetServerInfo", "GraphService/ValidateGraph", "TenantService/GetTenant", "Nothing/Nothing",
		"ReleaseService/DiffReleases", "ReleaseService/SetCanary", "TagService/ListTags", "TenantService/SetTenantLimits", "ServerService/GetPlan",
		"ReleaseService/GetRelease", "PluginService/ListPlugins", "ModelService/GetModel",
		// From here on with the operator's key: some of these are only for it, others take away what later calls need.
		"GraphService/DeleteGraph", "ModelService/DeleteModel", "PluginService/DeletePlugin", "ReleaseService/Rollback",
		"ReleaseService/PromoteCanary", "ReleaseService/AbortCanary", "TagService/DeleteTag", "TenantService/ListKeys", "TenantService/RotateKey",
		"TenantService/RevokeKey", "TenantService/CreateTenant", "TenantService/ListTenants", "TenantService/SuspendTenant",
		"TenantService/ResumeTenant", "TenantService/DeleteTenant",
	}
	fuzzContents = []string{
		"application/json", "application/proto", "application/connect+json", "application/connect+proto", "application/grpc",
		"application/grpc+json", "application/grpc-web", "application/grpc-web-text", "text/plain", "",
	}
	fuzzEncodings = []string{"", "gzip", "identity", "br"}
)

// firstOfOperator is the first procedure that is called with the operator's key.
const firstOfOperator = "GraphService/DeleteGraph"

// Whoever adds a procedure has it fuzzed.
func TestFuzzCallsKnowsAllProcedures(t *testing.T) {
	for _, file := range []protoreflect.FileDescriptor{
		tandemv1.File_tandem_v1_graph_proto, tandemv1.File_tandem_v1_inference_proto, tandemv1.File_tandem_v1_model_proto,
		tandemv1.File_tandem_v1_plugin_proto, tandemv1.File_tandem_v1_record_proto, tandemv1.File_tandem_v1_release_proto,
		tandemv1.File_tandem_v1_server_proto, tandemv1.File_tandem_v1_tag_proto, tandemv1.File_tandem_v1_tenant_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				if name := string(service.Name()) + "/" + string(service.Methods().Get(j).Name()); !slices.Contains(fuzzProcedures, name) {
					t.Errorf("%s is not fuzzed", name)
				}
			}
		}
	}
}

// FuzzCalls sends a real server whatever the fuzzer makes up as the body of any call, in every protocol and compression that it
// speaks, or none, and as the query of a GET. Callers may be told anything but that the server is at fault; the server answers in
// time, and the next call as before.
func FuzzCalls(f *testing.F) {
	infer := &tandemv1.InferRequest{Graph: "echo", Inputs: map[string]*tandemv1.Value{"text": client.Text("hello")}}
	plain := mustMarshal(f, infer)
	f.Add(uint8(0), uint8(0), uint8(0), false, []byte(`{"graph":"echo","inputs":{"text":{"text":"hello"}}}`))
	f.Add(uint8(0), uint8(0), uint8(0), true, []byte(`encoding=json&message=`+`%7B%22graph%22%3A%22echo%22%7D`))
	f.Add(uint8(0), uint8(1), uint8(0), false, plain)
	f.Add(uint8(0), uint8(1), uint8(1), false, zipped(f, plain))
	f.Add(uint8(1), uint8(3), uint8(0), false, framed(0, plain))
	f.Add(uint8(1), uint8(3), uint8(1), false, framed(1, zipped(f, plain)))
	f.Add(uint8(0), uint8(4), uint8(0), false, framed(0, plain))
	f.Add(uint8(0), uint8(6), uint8(0), false, framed(0, plain))
	f.Add(uint8(0), uint8(7), uint8(0), false, []byte(base64.StdEncoding.EncodeToString(framed(0, plain))))
	f.Add(uint8(2), uint8(0), uint8(0), false, []byte(`{"document":"graph: g\ninputs: {a: text}\noutputs: {b: a}\n"}`))
	f.Add(uint8(5), uint8(0), uint8(0), false, []byte(`{"name":"m","sizeBytes":"3","digest":"sha256:`+strings.Repeat("ab", 32)+`"}`))
	f.Add(uint8(15), uint8(0), uint8(0), false, []byte(`{"pageToken":"0000000000000001-0000","since":"2026-01-01T00:00:00Z"}`))
	f.Add(uint8(16), uint8(0), uint8(0), false, []byte(`{"from":"0001-01-01T00:00:00Z","to":"9999-12-31T23:59:59Z"}`))
	f.Add(uint8(18), uint8(0), uint8(0), false, []byte(`{"role":"ROLE_CALLER","graphs":["echo"],"lifetime":"-1s"}`))
	for i, body := range []string{
		`{"name":"echo","ref":"1"}`, `{"name":"m","ref":"latest"}`, `{"name":"values","ref":"1"}`, `{"graph":"echo","to":"1"}`,
		`{"graph":"echo","version":2}`, `{"graph":"echo"}`, `{"kind":"TAG_KIND_GRAPH","name":"echo","tag":"stable"}`, `{"tenant":"default"}`,
		`{"id":"AAAAAAAA","grace":"60s"}`, `{"id":"AAAAAAAA"}`, `{"name":"t","limits":{"inFlight":"-1"}}`, `{"pageSize":-1,"pageToken":"0"}`,
		`{"name":"default"}`, `{"name":"t"}`, `{"name":"default"}`,
	} {
		f.Add(uint8(slices.Index(fuzzProcedures, firstOfOperator)+i), uint8(0), uint8(0), false, []byte(body))
	}
	s := newFuzzed(f)
	f.Fuzz(func(t *testing.T, procedure, content, encoding uint8, get bool, body []byte) {
		if len(body) > 64<<10 {
			return
		}
		s.call(t, fuzzProcedures[int(procedure)%len(fuzzProcedures)], fuzzContents[int(content)%len(fuzzContents)],
			fuzzEncodings[int(encoding)%len(fuzzEncodings)], get, body)
		res, err := s.tenant.Infer(t.Context(), "echo", infer.GetInputs())
		if err != nil || res.GetOutputs()["text"].GetText() != "hello" {
			t.Fatalf("the next call: got %v, %v", res, err)
		}
	})
}

// fuzzed is a server with a tenant without limits that has a graph "echo", and the operator's with another.
type fuzzed struct {
	url      string
	key      string
	operator string // its key
	http     *http.Client
	tenant   *client.Client
}

// fuzzTenant is a name that no fuzzer finds.
const fuzzTenant = "fuzz-c41d07a9e2b8"

func newFuzzed(f *testing.F) *fuzzed {
	f.Helper()
	r := run(f, config(f))
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	s := &fuzzed{url: r.url, operator: r.key, http: &http.Client{Transport: &http.Transport{Protocols: p}}}
	f.Cleanup(s.http.CloseIdleConnections)
	_, err := r.Tenants.CreateTenant(f.Context(), &tandemv1.CreateTenantRequest{Name: fuzzTenant, Limits: &tandemv1.TenantLimits{
		RequestsPerSecond: -1, InFlight: -1, BytesInFlight: -1, FuelPerSecond: -1, Objects: -1, UploadBytesPerSecond: -1,
	}})
	if err != nil {
		f.Fatal(err)
	}
	key, err := r.Tenants.CreateKey(f.Context(), &tandemv1.CreateKeyRequest{Tenant: fuzzTenant, Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		f.Fatal(err)
	}
	s.key = key.GetPlain()
	if s.tenant, err = client.New(s.url, client.WithKey(s.key), client.WithHTTPClient(s.http)); err != nil {
		f.Fatal(err)
	}
	furnish(f, s.tenant)
	furnish(f, r.Client)
	return s
}

// furnish gives a tenant the graph "echo".
func furnish(f *testing.F, c *client.Client) {
	f.Helper()
	wasm := sandboxtest.Module(f, "values")
	if _, err := c.PushPlugin(f.Context(), "values", bytes.NewReader(wasm), int64(len(wasm))); err != nil {
		f.Fatal(err)
	}
	doc := "graph: echo\ninputs: {text: text}\noutputs: {text: c.text}\nnodes: {c: {plugin: values, call: copy, in: {text: text}}}\n"
	if _, err := c.Graphs.PublishGraph(f.Context(), &tandemv1.PublishGraphRequest{Document: doc}); err != nil {
		f.Fatal(err)
	}
}

// call sends one request and looks at the answer. A stream that the server keeps open is cut off by the call's own deadline.
func (s *fuzzed) call(t *testing.T, procedure, content, encoding string, get bool, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	url, method := s.url+"/tandem.v1."+procedure, http.MethodPost
	if get {
		url, method, body = url+"?"+queryOf(body), http.MethodGet, nil
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		t.Skip() // no URL
	}
	key := s.key
	if slices.Index(fuzzProcedures, procedure) >= slices.Index(fuzzProcedures, firstOfOperator) {
		key = s.operator
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if content != "" {
		req.Header.Set("Content-Type", content)
	}
	if encoding != "" {
		for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
			req.Header.Set(name, encoding)
		}
	}
	req.Header.Set("Connect-Timeout-Ms", "2000")
	req.Header.Set("Grpc-Timeout", "2S")
	req.Header.Set("Te", "trailers")
	res, err := s.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", procedure, content, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%s %s: %v", procedure, content, err)
	}
	internal := res.Header.Get("Grpc-Status") == "13" || res.Trailer.Get("Grpc-Status") == "13"
	if res.StatusCode == http.StatusInternalServerError || bytes.Contains(text, []byte("internal error")) ||
		internal && (strings.Contains(res.Header.Get("Grpc-Message"), "internal error") || strings.Contains(res.Trailer.Get("Grpc-Message"), "internal error")) {
		t.Errorf("%s %s: the server blames itself: %s %v %v %s", procedure, content, res.Status, res.Header, res.Trailer, text)
	}
}

// queryOf makes a query of any bytes.
func queryOf(body []byte) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '#' {
			return '+'
		}
		return r
	}, string(body))
}

func mustMarshal(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// framed is a message of a stream.
func framed(flags byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message))), message...)
}

func zipped(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, err := zip.Write(b)
	if err := errors.Join(err, zip.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}
