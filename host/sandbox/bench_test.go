package sandbox_test

import (
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

func benchCall(b *testing.B, p *sandbox.Plugin, c sandbox.Call) {
	b.Helper()
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		r, err := p.Call(ctx, c)
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

func BenchmarkNothing(b *testing.B) {
	benchCall(b, load(b, newHost(b, sandbox.Config{}), "values"), sandbox.Call{Function: "nothing"})
}

func BenchmarkText(b *testing.B) {
	c := sandbox.Call{Function: "echo", Inputs: []value.Value{{}, value.Text("some text")}}
	benchCall(b, load(b, newHost(b, sandbox.Config{}), "values"), c)
}

func BenchmarkTensor4MiB(b *testing.B) {
	x := value.Tensor(abi.UINT8, []int64{4 << 20}, make([]byte, 4<<20))
	for _, lease := range []bool{false, true} {
		b.Run(map[bool]string{false: "copied", true: "leased"}[lease], func(b *testing.B) {
			b.SetBytes(4 << 20)
			c := sandbox.Call{Function: "echo", Inputs: []value.Value{x}, Lease: lease}
			benchCall(b, load(b, newHost(b, sandbox.Config{}), "values"), c)
		})
	}
}

func BenchmarkNormalise(b *testing.B) {
	x := value.Tensor(abi.UINT8, []int64{224, 224, 3}, make([]byte, 224*224*3))
	c := sandbox.Call{Function: "normalise", Inputs: []value.Value{x}, Lease: true}
	benchCall(b, load(b, newHost(b, sandbox.Config{}), "values"), c)
}

func BenchmarkParallel(b *testing.B) {
	p := load(b, newHost(b, sandbox.Config{}), "values")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := p.Call(b.Context(), sandbox.Call{Function: "nothing"})
			if err != nil {
				b.Fatal(err)
			}
			r.Release()
		}
	})
}
