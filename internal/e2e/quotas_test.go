package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// excess is how one limit of a tenant is exceeded.
type excess struct {
	limit int64
	// hold uses something of it until the context ends. Default: what was used stays used without.
	hold func(ctx context.Context, c *client.Client)
	// exceed is called until one of its calls is refused.
	exceed []func(ctx context.Context, c *client.Client) error
	// use is what a refusal says is used, at least.
	use int64
}

// excesses has every limit but loaded_models, which refuses nothing: see TestLoadedModelsMakeRoom.
func excesses(t *testing.T) map[string]excess {
	t.Helper()
	type calls = []func(context.Context, *client.Client) error
	infer := func(graph string, in map[string]*tandemv1.Value) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			_, err := c.Infer(ctx, graph, in)
			return err
		}
	}
	publish := func(ctx context.Context, c *client.Client) error {
		_, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: "graph: new\ninputs: {text: text}\noutputs: {text: text}\n"})
		return err
	}
	begin := func(ctx context.Context, c *client.Client) error {
		_, err := c.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: "new", SizeBytes: 2 << 20, Digest: digestOf("c")})
		return err
	}
	other := fileOf(t, "runners", "onnx", "testdata", "identity_fp32.onnx")
	push := func(ctx context.Context, c *client.Client) error {
		_, err := c.PushModel(ctx, "other", bytes.NewReader(other), int64(len(other)), taking(3<<20))
		return err
	}
	spin, text := mode(0), func(size int) map[string]*tandemv1.Value {
		in := mode(0)
		in["text"] = client.Text(strings.Repeat("x", size))
		return in
	}
	ask := func(ctx context.Context, c *client.Client) error {
		_, err := c.Server.GetServerInfo(ctx, &tandemv1.GetServerInfoRequest{})
		return err
	}
	return map[string]excess{
		"requests_per_second": {limit: 10, hold: func(ctx context.Context, c *client.Client) {
			for ctx.Err() == nil {
				_ = ask(ctx, c) // most are refused
			}
		}, exceed: calls{ask}, use: 10},
		"in_flight": {limit: 1, hold: func(ctx context.Context, c *client.Client) { _ = infer("spin", spin)(ctx, c) }, exceed: calls{ask}, use: 1},
		"bytes_in_flight": {
			limit: 4 << 20, hold: func(ctx context.Context, c *client.Client) { _ = infer("spin", text(1<<20))(ctx, c) },
			exceed: calls{infer("spin", text(4<<20))}, use: 1 << 20,
		},
		"plugin_memory_bytes":     {limit: 8 << 20, exceed: calls{infer("memory", mode(1))}, use: 1},
		"fuel_per_second":         {limit: 1, exceed: calls{infer("memory", mode(5))}, use: 1},
		"records_per_second":      {limit: 1, exceed: calls{infer("host", mode(42))}, use: 1},
		"upload_bytes_per_second": {limit: 10, exceed: calls{push}, use: 10},
		"model_memory_bytes":      {limit: 2 << 20, exceed: calls{push}, use: 1 << 20}, // the model that is there is said to take 1 MiB
		"blob_bytes":              {limit: 1 << 20, exceed: calls{begin}, use: 1000},
		"objects":                 {limit: 8, exceed: calls{begin, publish}, use: 8},
	}
}

// TestEveryQuota exceeds every limit that a tenant has. Who does is told which it was, its value, what is used of it and when to try
// again; and both, the limit and what is used, are shown.
func TestEveryQuota(t *testing.T) {
	s := start(t, rig.Options{})
	all := excesses(t)
	fields := (&tandemv1.TenantLimits{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Name() == "loaded_models" {
			continue
		}
		t.Run(string(field.Name()), func(t *testing.T) {
			x, ok := all[string(field.Name())]
			if !ok {
				t.Fatal("nothing exceeds this limit")
			}
			exceedQuota(t, s, field, x)
		})
	}
}

// exceedQuota exceeds one limit of a tenant of its own, which has a model in memory, a plugin and six graphs.
func exceedQuota(t *testing.T, s *rig.Server, field protoreflect.FieldDescriptor, x excess) {
	t.Helper()
	tenant := "t" + strings.ReplaceAll(string(field.Name()), "_", "-")
	c, _ := newTenantWithKey(t, s, tenant, nil)
	pushHostile(t, c)
	publishSum(t, c)
	ctx := bounded(t)
	limits := &tandemv1.TenantLimits{}
	limits.ProtoReflect().Set(field, numberOf(field, x.limit))
	if _, err := s.Client.Tenants.SetTenantLimits(ctx, &tandemv1.SetTenantLimitsRequest{Name: tenant, Limits: limits}); err != nil {
		t.Fatal(err)
	}
	holding, stop := context.WithCancel(ctx)
	held := make(chan struct{})
	go func() {
		defer close(held)
		if x.hold != nil {
			x.hold(holding, c)
		}
	}()
	defer func() {
		stop()
		<-held
	}()
	for used := int64(0); x.hold != nil && used < x.use; used = useOf(ctx, t, s, tenant, field) {
	}
	for _, exceed := range x.exceed {
		err := exceed(ctx, c)
		for err == nil && ctx.Err() == nil {
			err = exceed(ctx, c)
		}
		wantQuota(t, err, string(field.Name()), x.limit)
		if got := client.Detail(err).GetQuota().GetUse(); got < x.use {
			t.Errorf("%v says that %d is used, want %d at least", err, got, x.use)
		}
		wantShown(t, s, tenant, field, x.limit)
	}
}

func numberOf(field protoreflect.FieldDescriptor, n int64) protoreflect.Value {
	if field.Kind() == protoreflect.DoubleKind {
		return protoreflect.ValueOfFloat64(float64(n))
	}
	return protoreflect.ValueOfInt64(n)
}

// publishSum publishes a graph over a model and calls it, so that the model is in memory.
func publishSum(t *testing.T, c *client.Client) {
	t.Helper()
	file := fileOf(t, "runners", "onnx", "testdata", "add_sub.onnx")
	if _, err := c.PushModel(bounded(t), "sum", bytes.NewReader(file), int64(len(file)), taking(1<<20)); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, c, "graph: sum\ninputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}\n"+
		"outputs: {s: {from: m.sum}}\nnodes:\n  m: {model: sum, in: {a: a, b: b}}\n")
	if _, err := c.Infer(bounded(t), "sum", terms()); err != nil {
		t.Fatal(err)
	}
}

// taking says how much memory a model takes, which is not measured then.
func taking(n int64) client.PushOption {
	return client.WithModelOptions(&tandemv1.ModelOptions{MemoryBytes: n})
}

// terms is what the graph "sum" takes.
func terms() map[string]*tandemv1.Value {
	in := sums()
	delete(in, "mode")
	return in
}

// tenantOf returns what is shown of a tenant.
func tenantOf(ctx context.Context, t *testing.T, s *rig.Server, name string) *tandemv1.Tenant {
	t.Helper()
	res, err := s.Client.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetTenant()
}

// useOf returns what is shown as used of a limit, in whole numbers.
func useOf(ctx context.Context, t *testing.T, s *rig.Server, name string, field protoreflect.FieldDescriptor) int64 {
	t.Helper()
	use := tenantOf(ctx, t, s, name).GetUse().ProtoReflect()
	switch n := use.Get(use.Descriptor().Fields().ByName(field.Name())).Interface().(type) {
	case float64:
		return int64(n + 0.5)
	case int64:
		return n
	}
	return 0
}

// wantShown makes sure that a limit and what is used of it are shown to a program and to a person.
func wantShown(t *testing.T, s *rig.Server, tenant string, field protoreflect.FieldDescriptor, limit int64) {
	t.Helper()
	ctx := bounded(t)
	shown := tenantOf(ctx, t, s, tenant)
	if got := shown.GetLimits().ProtoReflect().Get(field).Interface(); got != numberOf(field, limit).Interface() {
		t.Errorf("the limit is shown as %v, want %d", got, limit)
	}
	if used := useOf(ctx, t, s, tenant, field); used <= 0 {
		t.Errorf("it is shown that nothing is used: %v", shown.GetUse())
	}
	line := regexp.MustCompile(`(?m)^` + string(field.Name()) + ` +(\S.*?)  +(\S.*)$`).FindStringSubmatch(tenantShow(t, s, tenant))
	if len(line) != 3 || strings.HasPrefix(line[1], "0 ") || line[1] == "0" || !strings.ContainsAny(line[2], "0123456789") {
		t.Errorf("tandem tenant show says %q, want some use and a limit", line)
	}
}

// tenantShow returns what the command line shows of a tenant.
func tenantShow(t *testing.T, s *rig.Server, tenant string) string {
	t.Helper()
	cmd := exec.CommandContext(bounded(t), filepath.Join(root(t), "bin", "tandem"), "tenant", "show", tenant)
	cmd.Env = append(os.Environ(), "TANDEM_SERVER="+s.URL, "TANDEM_KEY="+s.Key)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("tandem tenant show: %v\n%s", err, out)
	}
	return string(out)
}

// TestLoadedModelsMakeRoom gives a tenant two models and a limit of one that is loaded: both answer, every time, and the one that was
// used longer ago makes room.
func TestLoadedModelsMakeRoom(t *testing.T) {
	s := start(t, rig.Options{})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{LoadedModels: 1})
	publishSum(t, c)
	file := fileOf(t, "runners", "onnx", "testdata", "identity_fp32.onnx")
	if _, err := c.PushModel(bounded(t), "same", bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, c, "graph: same\ninputs: {x: {type: tensor, dtype: FP32, shape: [batch, n]}}\noutputs: {y: {from: m.y}}\n"+
		"nodes:\n  m: {model: same, in: {x: x}}\n")
	field := (&tandemv1.TenantLimits{}).ProtoReflect().Descriptor().Fields().ByName("loaded_models")
	for range 3 {
		for name, in := range map[string]map[string]*tandemv1.Value{"sum": terms(), "same": {"x": client.Float32s([]int64{1, 1}, []float32{1})}} {
			if _, err := c.Infer(bounded(t), name, in); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			wantOnlyLoaded(t, c, name)
			wantShown(t, s, "acme", field, 1)
			if used := useOf(bounded(t), t, s, "acme", field); used != 1 {
				t.Errorf("%d models are loaded, want 1", used)
			}
		}
	}
}

// wantOnlyLoaded makes sure that one of a tenant's models is in memory and no other one.
func wantOnlyLoaded(t *testing.T, c *client.Client, name string) {
	t.Helper()
	res, err := c.Models.ListModels(bounded(t), &tandemv1.ListModelsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range res.GetModels() {
		if m.GetLoaded() != (m.GetName() == name) {
			t.Errorf("after a call of %s, model %s is loaded: %t", name, m.GetName(), m.GetLoaded())
		}
	}
}
