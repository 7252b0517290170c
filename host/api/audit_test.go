package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// changer makes changes through the handlers and keeps what they tell.
type changer struct {
	*handler

	models, plugins, releases []string // digests, in the order in which they came
	key                       string   // id of acme's
	last                      map[string]string
}

// upload pushes bytes up and returns the id of the upload and the digest of the bytes.
func (c *changer) upload(ctx context.Context, begin func(digest string) (string, error), data []byte) (id, digest string, err error) {
	sum := sha256.Sum256(data)
	digest = "sha256:" + hex.EncodeToString(sum[:])
	if id, err = begin(digest); err != nil {
		return "", "", err
	}
	_, err = c.put(ctx, id, 0, data, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return id, digest, err
}

func (c *changer) pushModel(ctx context.Context, content string) error {
	id, digest, err := c.upload(ctx, func(digest string) (string, error) {
		res, err := models{c.handler}.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: "add", Digest: digest, SizeBytes: int64(len(content))})
		return res.GetUploadId(), err
	}, []byte(content))
	if err != nil {
		return err
	}
	c.models = append(c.models, digest)
	_, err = models{c.handler}.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: id})
	return err
}

func (c *changer) pushPlugin(ctx context.Context, name string) error {
	wasm, err := os.ReadFile(filepath.Join("..", "sandbox", "sandboxtest", "testdata", name+".wasm"))
	if err != nil {
		return err
	}
	id, digest, err := c.upload(ctx, func(digest string) (string, error) {
		res, err := plugins{c.handler}.BeginPluginUpload(ctx, &tandemv1.BeginPluginUploadRequest{Name: name, Digest: digest, SizeBytes: int64(len(wasm))})
		return res.GetUploadId(), err
	}, wasm)
	if err != nil {
		return err
	}
	c.plugins = append(c.plugins, digest)
	_, err = plugins{c.handler}.FinishPluginUpload(ctx, &tandemv1.FinishPluginUploadRequest{UploadId: id})
	return err
}

// publish publishes a release of the graph g; doc makes two of them differ.
func (c *changer) publish(ctx context.Context, doc string, stage bool) error {
	res, err := graphs{c.handler}.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Stage: stage, Document: fmt.Sprintf(`
graph: g
doc: %q
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}
outputs: {s: {from: m.sum}}
nodes:
  m: {model: add, in: {a: a, b: b}}
`, doc)})
	if err == nil && int(res.GetGraph().GetVersion()) > len(c.releases) {
		c.releases = append(c.releases, res.GetGraph().GetDigest())
	}
	return err
}

// step is one change, and what the log is to have of it.
type step struct {
	procedure string // without its service
	do        func(ctx context.Context) error
	// before and after say which digest is wanted, once the change was made. other is one that the side before does not have.
	before, after func() string
}

func other() string { return "other" }

// nothing is what was there before something was made, and is there after it was removed.
func nothing() string { return "" }

// nth returns the digest that came at that place, from 1.
func nth(digests *[]string, place int) func() string {
	return func() string { return (*digests)[place-1] }
}

// was returns the digest that the last change of the kind had after it.
func (c *changer) was(kind string) func() string { return func() string { return c.last[kind] } }

func (c *changer) ofModels() []step {
	m := models{c.handler}
	tag := func(version string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := tags{c.handler}.SetTag(ctx, &tandemv1.SetTagRequest{Kind: tandemv1.TagKind_TAG_KIND_MODEL, Name: "add@" + version, Tag: "prod"})
			return err
		}
	}
	first, second, plugin := nth(&c.models, 1), nth(&c.models, 2), nth(&c.plugins, 1)
	return []step{
		{"FinishModelUpload", func(ctx context.Context) error { return c.pushModel(ctx, "one") }, nothing, first},
		{"FinishModelUpload", func(ctx context.Context) error { return c.pushModel(ctx, "two") }, first, second},
		{"SetTag", tag("1"), nothing, first},
		{"SetTag", tag("2"), first, second},
		{"DeleteTag", func(ctx context.Context) error {
			_, err := tags{c.handler}.DeleteTag(ctx, &tandemv1.DeleteTagRequest{Kind: tandemv1.TagKind_TAG_KIND_MODEL, Name: "add", Tag: "prod"})
			return err
		}, second, nothing},
		{"DeleteModel", func(ctx context.Context) error {
			_, err := m.DeleteModel(ctx, &tandemv1.DeleteModelRequest{Name: "add@1"})
			return err
		}, first, nothing},
		{"FinishPluginUpload", func(ctx context.Context) error { return c.pushPlugin(ctx, "values") }, nothing, plugin},
		{"DeletePlugin", func(ctx context.Context) error {
			_, err := plugins{c.handler}.DeletePlugin(ctx, &tandemv1.DeletePluginRequest{Name: "values"})
			return err
		}, plugin, nothing},
	}
}

func (c *changer) ofGraphs() []step {
	r := releases{c.handler}
	publish := func(doc string, stage bool) func(context.Context) error {
		return func(ctx context.Context) error { return c.publish(ctx, doc, stage) }
	}
	canary := func(percent float64) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := r.SetCanary(ctx, &tandemv1.SetCanaryRequest{Graph: "g", Release: "3", Percent: percent})
			return err
		}
	}
	first, second, third := nth(&c.releases, 1), nth(&c.releases, 2), nth(&c.releases, 3)
	return []step{
		{"PublishGraph", publish("one", false), nothing, first},
		{"PublishGraph", publish("two", false), first, second},
		{"PublishGraph", publish("two", false), second, second}, // changes nothing
		{"PublishGraph", publish("three", true), second, third},
		{"SetCanary", canary(10), second, third},
		{"SetCanary", canary(50), third, third}, // the same calls and more
		{"AbortCanary", func(ctx context.Context) error {
			_, err := r.AbortCanary(ctx, &tandemv1.AbortCanaryRequest{Graph: "g"})
			return err
		}, third, second},
		{"SetCanary", canary(10), second, third},
		{"PromoteCanary", func(ctx context.Context) error {
			_, err := r.PromoteCanary(ctx, &tandemv1.PromoteCanaryRequest{Graph: "g"})
			return err
		}, second, third},
		{"Rollback", func(ctx context.Context) error {
			_, err := r.Rollback(ctx, &tandemv1.RollbackRequest{Graph: "g"})
			return err
		}, third, second},
		{"DeleteGraph", func(ctx context.Context) error {
			_, err := graphs{c.handler}.DeleteGraph(ctx, &tandemv1.DeleteGraphRequest{Name: "g"})
			return err
		}, second, nothing},
	}
}

func (c *changer) ofTenants() []step {
	h, tenantWas, keyWas := tenants{c.handler}, c.was("tenant"), c.was("key")
	return []step{
		{"CreateTenant", func(ctx context.Context) error {
			_, err := h.CreateTenant(ctx, &tandemv1.CreateTenantRequest{Name: "acme"})
			return err
		}, nothing, other},
		{"SetTenantLimits", func(ctx context.Context) error {
			_, err := h.SetTenantLimits(ctx, &tandemv1.SetTenantLimitsRequest{Name: "acme", Limits: &tandemv1.TenantLimits{Objects: 5}})
			return err
		}, tenantWas, other},
		{"SuspendTenant", func(ctx context.Context) error {
			_, err := h.SuspendTenant(ctx, &tandemv1.SuspendTenantRequest{Name: "acme"})
			return err
		}, tenantWas, other},
		{"ResumeTenant", func(ctx context.Context) error {
			_, err := h.ResumeTenant(ctx, &tandemv1.ResumeTenantRequest{Name: "acme"})
			return err
		}, tenantWas, other},
		{"CreateKey", func(ctx context.Context) error {
			res, err := h.CreateKey(ctx, &tandemv1.CreateKeyRequest{Tenant: "acme", Role: tandemv1.Role_ROLE_CALLER, Graphs: []string{"g"}, Lifetime: durationpb.New(time.Hour)})
			c.key = res.GetKey().GetId()
			return err
		}, nothing, other},
		{"RotateKey", func(ctx context.Context) error {
			res, err := h.RotateKey(ctx, &tandemv1.RotateKeyRequest{Tenant: "acme", Id: c.key})
			c.key = res.GetKey().GetId()
			return err
		}, keyWas, other},
		{"RevokeKey", func(ctx context.Context) error {
			_, err := h.RevokeKey(ctx, &tandemv1.RevokeKeyRequest{Tenant: "acme", Id: c.key})
			return err
		}, keyWas, nothing},
		{"DeleteTenant", func(ctx context.Context) error {
			_, err := h.DeleteTenant(ctx, &tandemv1.DeleteTenantRequest{Name: "acme"})
			return err
		}, tenantWas, nothing},
	}
}

// TestChangesHaveDigests makes every change that there is, and reads in the log what was there before it and what after.
func TestChangesHaveDigests(t *testing.T) {
	c := &changer{handler: newHouse(t), last: map[string]string{}}
	seen := map[string]bool{}
	var last string
	for i, s := range slices.Concat(c.ofModels(), c.ofGraphs(), c.ofTenants()) {
		if err := s.do(operator(t)); err != nil {
			t.Fatalf("%d, %s: %v", i, s.procedure, err)
		}
		cs, err := c.cfg.Audit.List(t.Context(), audit.Filter{After: last})
		if err != nil || len(cs) != 1 {
			t.Fatalf("%d, %s: the log has %d more changes, %v", i, s.procedure, len(cs), err)
		}
		got := cs[0]
		if want := s.before(); got.Before != want {
			t.Errorf("%d, %s of %s: got %q before, want %q", i, got.Action, got.Name, got.Before, want)
		}
		if want := s.after(); want != got.After && (want != other() || got.After == got.Before || !blob.Digest(got.After).Valid()) {
			t.Errorf("%d, %s of %s: got %q after, want %q", i, got.Action, got.Name, got.After, want)
		}
		seen[s.procedure], last, c.last[got.Kind] = true, got.ID, got.After
	}
	for procedure, a := range procedures {
		if changes(procedure, a) && !seen[path.Base(procedure)] {
			t.Errorf("%s is not in the table", procedure)
		}
	}
}

// TestDigestsOfKeysHaveNoSecret: keys that differ in what belongs to their secrets have one digest.
func TestDigestsOfKeysHaveNoSecret(t *testing.T) {
	k := tenant.Key{ID: "k", Tenant: "acme", Role: tenant.RoleCaller, Hash: []byte("one")}
	another := k
	another.Hash = []byte("two")
	if digestOfKey(k) != digestOfKey(another) {
		t.Error("the digest of a key tells of its secret")
	}
	another.Role = tenant.RoleAdmin
	if digestOfKey(k) == digestOfKey(another) {
		t.Error("the digest of a key does not tell its role")
	}
}

// changes reports whether a procedure changes what the log is about: it may be called by who may change things, and does more than read
// or carry bytes.
func changes(procedure string, a access) bool {
	if a.action != tenant.ActionPublish && a.action != tenant.ActionManage && a.action != tenant.ActionOperate {
		return false
	}
	for _, prefix := range []string{"Get", "List", "Begin", "Put"} {
		if strings.HasPrefix(path.Base(procedure), prefix) {
			return false
		}
	}
	return true
}
