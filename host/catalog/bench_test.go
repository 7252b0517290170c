package catalog_test

import (
	"fmt"
	"testing"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// BenchmarkPut stores versions of 1000 models in turn; each is on the disk when it is counted.
func BenchmarkPut(b *testing.B) {
	c := open(b, catalog.Config{})
	i := 0
	for b.Loop() {
		put(b, c, fmt.Sprint("m", i%1000), i)
		i++
	}
}

// BenchmarkPutParallel is BenchmarkPut with many callers.
func BenchmarkPutParallel(b *testing.B) {
	c := open(b, catalog.Config{})
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		i := 0
		name := fmt.Sprintf("m%p", pb)
		for pb.Next() {
			put(b, c, fmt.Sprint(name, i%100), i)
			i++
		}
	})
}

// BenchmarkGet reads a model with ten versions.
func BenchmarkGet(b *testing.B) {
	c := open(b, catalog.Config{})
	for i := range 10 {
		put(b, c, "m", i)
	}
	for b.Loop() {
		if _, err := c.GetModel(b.Context(), "acme", "m", ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublish publishes a graph with eight pins.
func BenchmarkPublish(b *testing.B) {
	c := open(b, catalog.Config{})
	var pins []catalog.Pin
	for i := range 8 {
		pins = append(pins, pinOf(put(b, c, fmt.Sprint("m", i), i)))
	}
	i := 0
	for b.Loop() {
		publish(b, c, "g", fmt.Sprint(i), pins...)
		i++
	}
}

// BenchmarkGetGraph reads the current release of a graph.
func BenchmarkGetGraph(b *testing.B) {
	c := open(b, catalog.Config{})
	publish(b, c, "g", "doc", pinOf(put(b, c, "m", 1)))
	for b.Loop() {
		if _, err := c.GetGraph(b.Context(), "acme", "g", ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList lists a page of 100 of 1000 models.
func BenchmarkList(b *testing.B) {
	c := open(b, catalog.Config{})
	for i := range 1000 {
		put(b, c, fmt.Sprint("m", i), i)
	}
	for b.Loop() {
		if _, _, err := c.ListModels(b.Context(), "acme", catalog.Page{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuthenticate checks an API key.
func BenchmarkAuthenticate(b *testing.B) {
	c := open(b, catalog.Config{})
	k, plain := newKey("acme")
	want(b, "put tenant", c.PutTenant(b.Context(), tenant.Tenant{ID: "acme"}), nil)
	want(b, "put key", c.PutKey(b.Context(), k), nil)
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: c})
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), "Bearer "+plain); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens and closes a catalog with 1000 models and as many keys.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{0, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := catalog.Config{Dir: b.TempDir(), Logger: discard}
			c := open(b, cfg)
			for i := range n {
				put(b, c, fmt.Sprint("m", i), i)
				k, _ := newKey("acme")
				want(b, "put key", c.PutKey(b.Context(), k), nil)
			}
			c.Close(b.Context())
			for b.Loop() {
				c, err := catalog.Open(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				c.Close(b.Context())
				b.StartTimer()
			}
		})
	}
}
