package catalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
)

// open opens a catalog that lives as long as the test.
func open(t testing.TB, cfg catalog.Config) *catalog.Catalog {
	t.Helper()
	if cfg.Dir == "" && cfg.URL == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := catalog.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(t.Context()) })
	return c
}

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// digest returns the digest of some content that s stands for.
func digest(s any) blob.Digest {
	sum := sha256.Sum256(fmt.Append(nil, s))
	return blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// put stores a model version for tenant acme.
func put(t testing.TB, c *catalog.Catalog, name string, content any) catalog.Model {
	t.Helper()
	m, err := c.PutModel(t.Context(), "acme", catalog.ModelParams{Name: name, Digest: digest(content), Size: 10})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pinOf(m catalog.Model) catalog.Pin {
	return catalog.Pin{Kind: catalog.KindModel, Name: m.Name, Version: m.Version, Digest: m.Digest}
}

func graphPin(r catalog.Release) catalog.Pin {
	return catalog.Pin{Kind: catalog.KindGraph, Name: r.Name, Version: r.Version, Digest: r.Digest}
}

// publish publishes a release for tenant acme.
func publish(t testing.TB, c *catalog.Catalog, name, doc string, pins ...catalog.Pin) catalog.Release {
	t.Helper()
	r, err := c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{Name: name, Document: []byte(doc), Pins: pins})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stage publishes a release for tenant acme that does not become the current one.
func stage(t testing.TB, c *catalog.Catalog, name, doc string, pins ...catalog.Pin) catalog.Release {
	t.Helper()
	r, err := c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{Name: name, Document: []byte(doc), Pins: pins, Stage: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want fails unless err is target; a nil target wants no error.
func want(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

// errOf returns the error of a call that returns more.
func errOf[T any](_ T, err error) error { return err }

func TestConfig(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, cfg := range map[string]catalog.Config{
		"nothing":          {},
		"no logger":        {Dir: t.TempDir()},
		"no place":         {Logger: log},
		"replicas":         {Dir: t.TempDir(), Logger: log, Replicas: 3},
		"relist":           {Dir: t.TempDir(), Logger: log, Relist: -1},
		"a file":           {Dir: "/dev/null/x", Logger: log},
		"nobody there":     {URL: "nats://127.0.0.1:1", Logger: log},
		"an URL of no use": {URL: "nats://127.0.0.1:nope", Logger: log},
	} {
		if c, err := catalog.Open(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
			c.Close(t.Context())
		}
	}
}

func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	c := open(t, catalog.Config{Dir: dir})
	if _, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Fatal("two catalogs have one folder")
	}
	put(t, c, "m", 1)
	want(t, "close", errors.Join(c.Close(t.Context()), c.Close(t.Context())), nil)
	c = open(t, catalog.Config{Dir: dir})
	if m, err := c.GetModel(t.Context(), "acme", "m", ""); err != nil || m.Version != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
}

func TestClosed(t *testing.T) {
	c := open(t, catalog.Config{})
	m := put(t, c, "m", 1)
	c.Close(t.Context())
	ctx := t.Context()
	_, e1 := c.GetModel(ctx, "acme", "m", "")
	_, e2 := c.PutModel(ctx, "acme", catalog.ModelParams{Name: "m", Digest: digest(2), Size: 1})
	_, _, e3 := c.ListModels(ctx, "acme", catalog.Page{})
	_, e4 := c.PublishGraph(ctx, "acme", catalog.ReleaseParams{Name: "g", Document: []byte("x"), Pins: []catalog.Pin{pinOf(m)}})
	_, e5 := c.References(ctx)
	_, e6 := c.GetKey(ctx, "abc")
	var e7 error
	for _, e7 = range c.Watch(ctx) {
	}
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, c.Sweep(ctx), errOf(c.DeleteModel(ctx, "acme", "m", ""))} {
		want(t, fmt.Sprint(i), err, catalog.ErrClosed)
	}
}

func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	c := open(t, catalog.Config{Dir: dir})
	m := put(t, c, "m", 1)
	c.Close(t.Context())
	c = open(t, catalog.Config{Dir: dir, ReserveBytes: math.MaxInt64 / 2})
	_, err := c.PutModel(t.Context(), "acme", catalog.ModelParams{Name: "m", Digest: digest(2), Size: 1})
	want(t, "put", err, catalog.ErrNoSpace)
	_, err = c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{Name: "g", Document: []byte("x")})
	want(t, "publish", err, catalog.ErrNoSpace)
	if got, err := c.GetModel(t.Context(), "acme", "m", ""); err != nil || got.Digest != m.Digest {
		t.Errorf("reading: got %+v, %v", got, err)
	}
}

// shortly returns a context that ends soon.
func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
