package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// sizedModel returns a small model whose file has about so many bytes, most of them in its doc string, which ends in mark.
func sizedModel(t *testing.T, size int, mark string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	const docString = 6 // of ModelProto
	file = protowire.AppendTag(file, docString, protowire.BytesType)
	return protowire.AppendString(file, strings.Repeat("x", size)+mark)
}

func push(t *testing.T, c *client.Client, name string, file []byte, options ...client.PushOption) error {
	t.Helper()
	_, err := c.PushModel(bounded(t), name, bytes.NewReader(file), int64(len(file)), options...)
	return err
}

// useOf returns what a tenant's own admin sees of its use.
func useOf(t *testing.T, c *client.Client) *tandemv1.TenantUse {
	t.Helper()
	res, err := c.Tenants.GetTenant(bounded(t), &tandemv1.GetTenantRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetTenant().GetUse()
}

// TestDeclaredMemoryIsNoWayOut has a tenant declare next to nothing for a model that is larger than all its models may be.
func TestDeclaredMemoryIsNoWayOut(t *testing.T) {
	const limit = 1 << 20
	s := start(t, rig.Options{})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{ModelMemoryBytes: limit})
	file := sizedModel(t, 2<<20, "")
	for _, declared := range []int64{0, 1} {
		err := push(t, c, "m", file, client.WithModelOptions(&tandemv1.ModelOptions{MemoryBytes: declared}))
		wantQuota(t, err, "model_memory_bytes", limit)
	}
	if use := useOf(t, c); use.GetModelMemoryBytes() != 0 || use.GetLoadedModels() != 0 {
		t.Errorf("got %v in use after the refusals", use)
	}
}
