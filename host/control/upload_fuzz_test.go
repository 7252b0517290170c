package control_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
)

// FuzzPluginUpload takes a file the whole way that a plugin goes: in chunks into the blob store, through the linter, into a compiler
// that is a process of its own, and into the sandbox, which asks it for its description. Whatever the file is, it becomes a plugin
// or is refused, no process is left, and another tenant's plugin answers as before.
func FuzzPluginUpload(f *testing.F) {
	for _, name := range []string{"stateful", "secrets"} {
		f.Add(sandboxtest.Module(f, name), uint16(999))
	}
	small, err := filepath.Glob(filepath.Join("..", "sandbox", "sandboxtest", "testdata", "corpus", "*.wasm"))
	if err != nil {
		f.Fatal(err)
	}
	every := 8 // the sandbox's own tests run them all
	if testing.Short() {
		every = 64 // the race detector makes compilers slow
	}
	for i, path := range small {
		if i%every != 0 {
			continue
		}
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(file) < 1<<10 {
			f.Add(file, uint16(64))
		}
	}
	h := newBuildingSite(f)
	f.Fuzz(func(t *testing.T, file []byte, chunk uint16) {
		if len(file) == 0 || len(file) > 16<<10 {
			return
		}
		began := time.Now()
		p, err := h.pushPlugin(t.Context(), file, int(chunk)+1)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%d bytes took %v", len(file), took)
		}
		var refused *sandbox.RejectError
		switch {
		case err != nil && (!errors.As(err, &refused) || len(refused.Reasons) == 0):
			t.Errorf("got %v, want a plugin or a refusal", err)
		case err == nil && p == 0:
			t.Error("there is no plugin and no refusal")
		}
		h.mustEcho(t)
		if left := children(t); left != "" {
			t.Errorf("processes are left: %s", left)
		}
	})
}

// buildingSite is a house with a compiler of its own, and with a graph of the tenant "other" that has a plugin.
type buildingSite struct{ *house }

func newBuildingSite(tb testing.TB) buildingSite {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	box, err := sandbox.New(tb.Context(), sandbox.Config{
		CacheDir: filepath.Join(tb.TempDir(), "code"), Compiler: &sandbox.ChildCompiler{Command: []string{exe, "child-compile"}},
		MemoryLimitBytes: 64 << 20, DescribeTimeout: 2 * time.Second, UploadTimeout: 10 * time.Second,
	})
	if err != nil {
		tb.Fatal(err)
	}
	h := buildingSite{newHouseIn(tb, tb.TempDir(), control.Config{Sandbox: box})}
	if _, err := h.put(tb.Context(), other, "values", sandboxtest.Module(tb, "values"), 1<<20); err != nil {
		tb.Fatal(err)
	}
	doc := "graph: echo\ninputs: {text: text}\noutputs: {text: c.text}\nnodes: {c: {plugin: values, call: copy, in: {text: text}}}\n"
	if _, _, err := h.Publish(tb.Context(), other, control.PublishParams{Document: []byte(doc)}); err != nil {
		tb.Fatal(err)
	}
	return h
}

// pushPlugin uploads a file as a plugin of the tenant "acme" and returns its version.
func (h buildingSite) pushPlugin(ctx context.Context, file []byte, chunk int) (version int, err error) {
	return h.put(ctx, acme, "fuzz", file, chunk)
}

func (h buildingSite) put(ctx context.Context, t tenant.ID, name string, file []byte, chunk int) (version int, err error) {
	sum := sha256.Sum256(file)
	up, err := h.blobs.Begin(ctx, blob.UploadParams{
		Owner: t, Kind: control.UploadPlugin, Name: name, Size: int64(len(file)), Digest: blob.Digest("sha256:" + hex.EncodeToString(sum[:])),
	})
	if err != nil {
		return 0, err
	}
	for at := up.Offset; at < int64(len(file)); {
		part := file[at:min(int(at)+chunk, len(file))]
		if at, err = h.blobs.Append(ctx, t, up.ID, at, part, crc32.Checksum(part, crc32.MakeTable(crc32.Castagnoli))); err != nil {
			return 0, err
		}
	}
	p, err := h.AddPlugin(ctx, t, up.ID)
	return p.Version, err
}

// mustEcho calls the other tenant's graph.
func (h buildingSite) mustEcho(t *testing.T) {
	t.Helper()
	lease, err := h.Acquire(t.Context(), other, "echo", control.Call{})
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Done()
	res, err := h.engine.Run(t.Context(), lease.Release, engine.Request{Inputs: map[string]value.Value{"text": value.Text("still here")}})
	if err != nil || string(res.Outputs["text"].Data) != "still here" {
		t.Fatalf("another tenant's plugin answers %+v, %v", res, err)
	}
}

// children returns the processes that this one has started and that have not ended, where the system says.
func children(t *testing.T) string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, task := range tasks {
		b, _ := os.ReadFile(task) // a thread that has ended has none
		all = append(all, strings.Fields(string(b))...)
	}
	return strings.Join(all, " ")
}
