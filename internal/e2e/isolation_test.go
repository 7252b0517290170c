package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

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

// methodOf returns a method by Service/Method.
func methodOf(t *testing.T, name string) protoreflect.MethodDescriptor {
	t.Helper()
	for _, md := range methods() {
		if string(md.Parent().Name()+"/"+md.Name()) == name {
			return md
		}
	}
	t.Fatalf("there is no method %s", name)
	return nil
}

// post calls a method as JSON and returns the status and the answer; of a stream, all messages of it as a list.
func post(ctx context.Context, t *testing.T, s *rig.Server, key string, md protoreflect.MethodDescriptor, m proto.Message) (int, string) {
	t.Helper()
	body, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	contentType := "application/json"
	if md.IsStreamingServer() {
		contentType = "application/connect+json"
		head := make([]byte, envelope)
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
	if md.IsStreamingServer() && res.StatusCode == http.StatusOK {
		answer = unwrapped(t, answer)
	}
	return res.StatusCode, string(answer)
}

// envelope is how many bytes come before each message of a stream.
const envelope = 5

// unwrapped returns the messages of a stream as a list.
func unwrapped(t *testing.T, stream []byte) []byte {
	t.Helper()
	var messages [][]byte
	for len(stream) > 0 {
		if len(stream) < envelope || int(binary.BigEndian.Uint32(stream[1:envelope])) > len(stream)-envelope {
			t.Fatalf("the stream ends in the middle of a message: %q", stream)
		}
		end := envelope + int(binary.BigEndian.Uint32(stream[1:envelope]))
		messages, stream = append(messages, stream[envelope:end]), stream[end:]
	}
	return fmt.Appendf(nil, "[%s]", bytes.Join(messages, []byte(",")))
}

var anyDigest = regexp.MustCompile("sha256:[0-9a-f]+")

// blurred takes out of an answer what differs from call to call, and the names that were asked for.
func blurred(t *testing.T, answer string, asked belongings) string {
	t.Helper()
	words := asked.words()
	longest := slices.Clone(words)
	slices.SortStableFunc(longest, func(a, b string) int { return len(b) - len(a) }) // one may begin with another
	var pairs []string
	for _, word := range longest {
		pairs = append(pairs, word, fmt.Sprintf("<%d>", slices.Index(words, word)))
	}
	answer = strings.NewReplacer(pairs...).Replace(answer)
	answer = anyDigest.ReplaceAllString(answer, "<digest>") // one that was cut short, or is that of a name
	var doc any
	if err := json.Unmarshal([]byte(answer), &doc); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	out, err := json.Marshal(without(doc, unsteady))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// binary64 is the form of an error's details that stands beside the readable one.
const binary64 = "value"

// unsteady are the texts that differ from call to call: ids that are made for each, and times. "total" is one of them in a trace.
var unsteady = []string{
	binary64, "requestId", "uploadId", "plain", "id", "uptime", "time", "createTime", "startTime", "expireTime", "lastUseTime",
	"at", "start", "waited", "ran", "queued", "budget", "total",
}

// without removes texts of these names from a JSON document.
func without(doc any, names []string) any {
	switch d := doc.(type) {
	case []any:
		for i := range d {
			d[i] = without(d[i], names)
		}
	case map[string]any:
		for name, inner := range d {
			if _, text := inner.(string); text && slices.Contains(names, name) {
				delete(d, name)
			} else {
				d[name] = without(inner, names)
			}
		}
	}
	return doc
}

// timestampOfOld is before everything that the tests make.
var timestampOfOld = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// TestTenantsSeeNothingOfEachOther has one tenant ask every method for every kind of object that another one owns, as an admin of its
// own tenant. No answer names anything of the other; every answer is, but for the names, what the same call gives for what nobody has;
// and nothing of the other has changed. Then the owner asks the same: each probe finds what is there, so that it would have found a leak.
func TestTenantsSeeNothingOfEachOther(t *testing.T) {
	s := start(t, rig.Options{})
	victim, victimKey := newTenantWithKey(t, s, "victim", tenantLimits(-1))
	attacker, attackKey := newTenantWithKey(t, s, "attacker", tenantLimits(-1))
	own := furnish(t, victim, "victim")
	publishCopy(t, attacker)
	before := inventory(t, victim, own)
	findNothing(t, s, attackKey, own, append(own.words(), "secret", own.record))
	if after := inventory(t, victim, own); after != before {
		t.Errorf("the victim's things changed:\n%s\nbefore:\n%s", after, before)
	}
	findAll(t, s, victimKey, own)
}

// TestEveryMethodIsProbed: a method without a probe, or with a field that no probe sets, would go unseen in the tests above and below.
func TestEveryMethodIsProbed(t *testing.T) {
	set := map[string]bool{}
	probed := map[string]bool{}
	for _, p := range probes() {
		probed[p.method] = true
		for _, m := range p.ask(belongings{tag: "prod", record: "0-0", modelUploadID: "1", pluginUploadID: "2", key: "3"}.nobodys()) {
			m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
				set[string(f.FullName())] = true
				return true
			})
		}
	}
	for _, md := range methods() {
		name := string(md.Parent().Name() + "/" + md.Name())
		if !probed[name] {
			t.Errorf("%s has no probe", name)
		}
		for i := range md.Input().Fields().Len() {
			if f := md.Input().Fields().Get(i); !set[string(f.FullName())] {
				t.Errorf("no probe of %s sets %s", name, f.Name())
			}
		}
	}
}

// pair is a question about what somebody owns, and the same one about what nobody has.
type pair struct{ real, twin proto.Message }

// pairs returns the questions of a probe. Where it may ask for anything, each of its texts is also every other name.
func (p probe) pairs(own belongings) []pair {
	nobody := own.nobodys()
	owned, twin := p.ask(own), p.ask(nobody)
	var out []pair
	for i := range owned {
		out = append(out, pair{owned[i], twin[i]})
	}
	if p.kind != byName {
		return out
	}
	for i, word := range own.words() {
		for _, path := range texts(owned[0].ProtoReflect().Descriptor()) {
			out = append(out, pair{with(owned[0], path, word), with(twin[0], path, nobody.words()[i])})
		}
	}
	return out
}

// texts returns the paths to the text fields of a message and of the request that it carries.
func texts(d protoreflect.MessageDescriptor) [][]protoreflect.FieldDescriptor {
	var out [][]protoreflect.FieldDescriptor
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			out = append(out, []protoreflect.FieldDescriptor{f})
		case f.Kind() == protoreflect.MessageKind && strings.HasSuffix(string(f.Message().Name()), "Request"):
			for _, path := range texts(f.Message()) {
				out = append(out, append([]protoreflect.FieldDescriptor{f}, path...))
			}
		}
	}
	return out
}

// with returns a copy of m with another text at the end of a path.
func with(m proto.Message, path []protoreflect.FieldDescriptor, text string) proto.Message {
	out := proto.Clone(m)
	at := out.ProtoReflect()
	for _, f := range path[:len(path)-1] {
		at = at.Mutable(f).Message()
	}
	at.Set(path[len(path)-1], protoreflect.ValueOfString(text))
	return out
}

// findNothing has the holder of a key ask for all that somebody else owns. It learns no more than that of what nobody has, and no answer
// has one of the secrets that was not in the question.
func findNothing(t *testing.T, s *rig.Server, key string, own belongings, secrets []string) {
	t.Helper()
	calls := 0
	for _, p := range probes() {
		md := methodOf(t, p.method)
		for _, q := range p.pairs(own) {
			calls++
			status, answer := post(bounded(t), t, s, key, md, q.real)
			for _, secret := range secretsIn(t, answer, q.real, secrets) {
				t.Errorf("%s(%v) names %q: %s", p.method, q.real, secret, answer)
			}
			if p.kind == listing {
				continue // it is the same call
			}
			twinStatus, twinAnswer := post(bounded(t), t, s, key, md, q.twin)
			got, want := blurred(t, answer, own), blurred(t, twinAnswer, own.nobodys())
			if status != twinStatus || got != want {
				t.Errorf("%s tells (%v) from (%v):\n%d %s\n%d %s", p.method, q.real, q.twin, status, got, twinStatus, want)
			}
		}
	}
	t.Logf("%d pairs of calls", calls)
}

// secretsIn returns the secrets that an answer has and its question has not.
func secretsIn(t *testing.T, answer string, question proto.Message, secrets []string) []string {
	t.Helper()
	var doc any
	if err := json.Unmarshal([]byte(answer), &doc); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	readable, err := json.Marshal(without(doc, []string{binary64}))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, secret := range secrets {
		if strings.Contains(string(readable), secret) && !strings.Contains(fmt.Sprint(question), secret) {
			out = append(out, secret)
		}
	}
	return out
}

// findAll has an owner ask the same as findNothing, and makes sure that each probe can tell what is there from what is not.
func findAll(t *testing.T, s *rig.Server, key string, own belongings) {
	t.Helper()
	for _, p := range probes() {
		md := methodOf(t, p.method)
		nobody := own.nobodys()
		owned, twin := p.ask(own), p.ask(nobody)
		found := false
		var shown string
		for i := range owned {
			status, answer := post(bounded(t), t, s, key, md, owned[i])
			shown += fmt.Sprintf("%d %s\n", status, answer)
			switch p.kind {
			case listing:
				found = found || len(secretsIn(t, answer, owned[i], own.words())) > 0
			case operatorOnly:
				found = status == http.StatusForbidden
			default:
				twinStatus, twinAnswer := post(bounded(t), t, s, key, md, twin[i])
				found = found || status != twinStatus || blurred(t, answer, own) != blurred(t, twinAnswer, nobody)
			}
		}
		if !found {
			t.Errorf("%s(%v) finds nothing, asked by who owns it, and would find no leak:\n%s", p.method, owned[0], shown)
		}
	}
}

func tenantLimits(all float64) *tandemv1.TenantLimits {
	n := int64(all)
	return &tandemv1.TenantLimits{
		RequestsPerSecond: all, InFlight: n, BytesInFlight: n, PluginMemoryBytes: n, FuelPerSecond: all, LoadedModels: n,
		ModelMemoryBytes: n, BlobBytes: n, Objects: n, RecordsPerSecond: all, UploadBytesPerSecond: all,
	}
}

// TestDigestsAreNoOracle begins an upload of bytes that another tenant has stored: the server wants all of them, and nothing
// becomes of a digest whose bytes did not come.
func TestDigestsAreNoOracle(t *testing.T) {
	s := start(t, rig.Options{})
	victim, attacker := newTenant(t, s, "victim"), newTenant(t, s, "attacker")
	own := furnish(t, victim, "victim")
	ctx := bounded(t)
	info, err := os.Stat(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	up, err := attacker.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: "mine", SizeBytes: info.Size(), Digest: own.modelDigest})
	if err != nil || up.GetCommittedOffset() != 0 {
		t.Fatalf("got %v, %v", up, err)
	}
	if _, err := attacker.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()}); client.Reason(err) != tandemv1.Reason_REASON_UPLOAD_OFFSET {
		t.Errorf("a digest without its bytes: got %v", err)
	}
	junk := bytes.Repeat([]byte{7}, int(info.Size()))
	if _, err := attacker.Models.PutModelChunk(ctx, &tandemv1.PutModelChunkRequest{UploadId: up.GetUploadId(), Data: junk, Crc32C: castagnoli(junk)}); err != nil {
		t.Fatal(err)
	}
	if _, err := attacker.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()}); client.Reason(err) != tandemv1.Reason_REASON_DIGEST_MISMATCH {
		t.Errorf("other bytes under the digest: got %v", err)
	}
}
