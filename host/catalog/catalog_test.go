package catalog_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
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
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	c, err := catalog.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(t.Context()) })
	return c
}

// digest returns the digest of some content that s stands for.
func digest(s any) blob.Digest {
	sum := sha256.Sum256(fmt.Append(nil, s))
	return blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// put stores a model version and returns it.
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

func publish(t testing.TB, c *catalog.Catalog, name, doc string, pins ...catalog.Pin) catalog.Release {
	t.Helper()
	r, err := c.PublishGraph(t.Context(), "acme", catalog.ReleaseParams{Name: name, Document: []byte(doc), Pins: pins})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestSmoke(t *testing.T) {
	c := open(t, catalog.Config{})
	start := time.Now()
	m := put(t, c, "m", 1)
	r := publish(t, c, "g", "doc", pinOf(m))
	got, err := c.GetGraph(t.Context(), "acme", "g", "")
	t.Logf("%+v\n%+v %v %v", r, got, err, time.Since(start))
	t.Log(c.DeleteModel(t.Context(), "acme", "m", ""))
	t.Log(c.DeleteGraph(t.Context(), "acme", "g"))
	t.Log(c.DeleteModel(t.Context(), "acme", "m", ""))
	ms, tok, err := c.ListModels(t.Context(), "acme", catalog.Page{})
	t.Log(ms, tok, err)
}
