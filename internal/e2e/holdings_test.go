package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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

// ownUse returns what a tenant's own admin sees of its use.
func ownUse(t *testing.T, c *client.Client) *tandemv1.TenantUse {
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
	if use := ownUse(t, c); use.GetModelMemoryBytes() != 0 || use.GetLoadedModels() != 0 {
		t.Errorf("got %v in use after the refusals", use)
	}
}

// onDisk returns the bytes of all files below a folder.
func onDisk(t *testing.T, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRefusedPushesStayWithinTheQuota has a tenant push again and again what is refused, or deleted at once: it takes no more of the disk
// than it may.
func TestRefusedPushesStayWithinTheQuota(t *testing.T) {
	const limit = 5 << 20
	s := start(t, rig.Options{})
	for name, once := range map[string]func(c *client.Client, i int) error{
		"refuses": func(c *client.Client, i int) error {
			return push(t, c, "m", bytes.Repeat([]byte{byte(i + 1)}, 1<<20))
		},
		"deletes": func(c *client.Client, i int) error {
			if err := push(t, c, "m", sizedModel(t, 1<<20, fmt.Sprint(i))); err != nil {
				return err
			}
			if _, err := c.Models.DeleteModel(bounded(t), &tandemv1.DeleteModelRequest{Name: "m"}); err != nil {
				t.Error(err)
			}
			return errTried
		},
	} {
		c, _ := newTenantWithKey(t, s, name, &tandemv1.TenantLimits{BlobBytes: limit})
		before, tries := onDisk(t, filepath.Join(s.Data, "blobs")), 0
		for i := range 12 {
			err := once(c, i)
			if errors.Is(err, errTried) || client.Detail(err).GetReason() == tandemv1.Reason_REASON_MODEL_INVALID {
				tries++
				continue
			}
			wantQuota(t, err, "blob_bytes", limit)
		}
		use, grown := ownUse(t, c), onDisk(t, filepath.Join(s.Data, "blobs"))-before
		if tries < 4 || tries > 5 || use.GetBlobBytes() > limit || grown > limit+64<<10 || use.GetBlobBytes() < grown-64<<10 {
			t.Errorf("%s: %d of 12 got through, %d bytes are counted, %d are on the disk", name, tries, use.GetBlobBytes(), grown)
		}
	}
}

var errTried = errors.New("pushed and deleted")

// TestObjectsAreCountedBeforeTheyAreThere begins more uploads than there may be objects.
func TestObjectsAreCountedBeforeTheyAreThere(t *testing.T) {
	s := start(t, rig.Options{})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{Objects: 1})
	file := sizedModel(t, 1, "")
	sum := sha256.Sum256(file)
	for i := range 5 {
		_, err := c.Models.BeginModelUpload(bounded(t), &tandemv1.BeginModelUploadRequest{
			Name: fmt.Sprintf("m%d", i), SizeBytes: int64(len(file)), Digest: "sha256:" + hex.EncodeToString(sum[:]),
		})
		if i > 0 {
			wantQuota(t, err, "objects", 1)
		} else if err != nil {
			t.Error(err)
		}
	}
	if err := push(t, c, "m0", file); err != nil {
		t.Errorf("the upload that had begun: %v", err)
	}
	if use := ownUse(t, c); use.GetObjects() != 1 {
		t.Errorf("got %v", use)
	}
}

// TestReleasesCountAsBytes publishes one large document after the other.
func TestReleasesCountAsBytes(t *testing.T) {
	const limit = 2 << 20
	s := start(t, rig.Options{})
	c, _ := newTenantWithKey(t, s, "acme", &tandemv1.TenantLimits{BlobBytes: limit})
	published := 0
	for i := range 8 {
		doc := fmt.Sprintf("graph: g\ndoc: %q\ninputs: {text: text}\noutputs: {y: {from: text}}\n", strings.Repeat("x", 400<<10)+fmt.Sprint(i))
		if _, err := c.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: doc}); err == nil {
			published++
		} else {
			wantQuota(t, err, "blob_bytes", limit)
		}
	}
	if use := ownUse(t, c); published < 2 || published > 4 || use.GetBlobBytes() > limit || use.GetBlobBytes() < int64(published)*400<<10 {
		t.Errorf("%d of 8 were published, %v is in use", published, use)
	}
}
