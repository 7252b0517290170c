package sandbox

import (
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
)

// BenchmarkInstance makes an instance from its snapshot and frees it again, with pages that were not there before.
func BenchmarkInstance(b *testing.B) {
	for _, c := range []struct {
		name string
		wasm []byte
	}{{"C", sandboxtest.Module(b, "values")}, {"Go", sandboxtest.GoPlugin(b)}} {
		b.Run(c.name, func(b *testing.B) {
			ctx := b.Context()
			h, err := New(ctx, Config{})
			if err != nil {
				b.Fatal(err)
			}
			p, err := h.Load(ctx, c.wasm)
			if err != nil {
				b.Fatal(err)
			}
			r, err := p.Call(ctx, Call{Function: "nothing", Lease: true})
			if err != nil {
				b.Fatal(err)
			}
			t := r.lease.Load().tmpl
			b.ReportAllocs()
			for b.Loop() {
				in, err := t.instance(ctx, 256<<20, 0, &callState{host: h})
				if err != nil {
					b.Fatal(err)
				}
				h.closeInstance(in)
			}
			r.Release()
			if err := h.Close(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}
