package control

import (
	"log/slog"
	"os"
	"testing"

	"github.com/tandem-serve/tandem/runners/plan"
)

// FuzzLearned reads a file of what was learned of a model as one that was damaged: it is nothing then, or what the batcher and the
// plan can work with.
func FuzzLearned(f *testing.F) {
	f.Add([]byte(`{"cost":{"shapes":{"FP32[?,3]":{"n":9,"x":20,"y":0.5,"xx":80,"xy":2,"use":3}}},"measured":{"threads":[{"threads":1,"took":1000}],"rows":[{"rows":4,"took":5000}]},"memory_bytes":100}`))
	f.Add([]byte(`{"cost":{"shapes":{"":{"n":1e308,"x":1e308,"y":-1,"xx":1e-300,"xy":-1e308}}},"measured":{"threads":[{"threads":-1,"took":-5}],"rows":[{"rows":0,"took":0},{"rows":-4,"took":9223372036854775807}]},"memory_bytes":-1}`))
	f.Add([]byte(`{"cost":{"shapes":null},"memory_bytes":1e400}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := &memory{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
		key := modelKey{tenant: "acme", digest: "sha256:0"}
		if err := os.WriteFile(m.file(key), text, 0o600); err != nil {
			t.Fatal(err)
		}
		l := m.read(t.Context(), key)
		if l.MemoryBytes < 0 {
			t.Errorf("the model takes %d bytes", l.MemoryBytes)
		}
		for _, s := range l.Cost.ByShape() {
			took, known := l.Cost.Foretell(s.Shape, 100)
			if s.Base < 0 || s.PerRow < 0 || took < 0 || !known {
				t.Errorf("runs of %+v take %v, known %v", s, took, known)
			}
		}
		p := plan.Make(plan.Machine{Cores: 2}, []plan.Model{{Key: "m", Tenant: "acme", Label: "m@1", Batched: true, Measured: l.Measured}})
		if s := p.Shares[0]; s.Threads < 1 || s.Threads > 2 || s.Concurrency < 1 || s.Instances < 1 || s.MaxRows < 1 {
			t.Errorf("the plan gives %+v", s)
		}
		if err := m.write(key, l); err != nil {
			t.Errorf("what was read cannot be kept: %v", err)
		}
	})
}
