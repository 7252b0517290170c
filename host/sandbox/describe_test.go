package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// hostileModule returns a module of the hostile corpus.
func hostileModule(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("sandboxtest", "testdata", "corpus", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a guest takes to describe itself is of its tenant's memory, and comes back.
func TestDescriptionIsInTenantMemory(t *testing.T) {
	const limit = 8 << 20
	h := memoryHost(t, limit)
	most := map[string]int64{}
	for _, tenant := range []string{"a", "b"} {
		p, err := h.LoadFor(t.Context(), sandbox.Loading{Tenant: tenant, Spend: func(uint64, time.Duration) error {
			most[tenant] = max(most[tenant], h.TenantMemory(tenant))
			return nil
		}}, hostileModule(t, "initialize-grow"))
		if err == nil {
			err = p.Close()
		}
		if err != nil {
			t.Error(err)
		}
		if got := h.TenantMemory(tenant); got != 0 {
			t.Errorf("tenant %s has %d bytes afterwards, want 0", tenant, got)
		}
	}
	if most["a"] == 0 || most["a"] > limit || most["b"] <= limit {
		t.Errorf("while they described themselves there were %v bytes, want at most %d of a's, and more of b's", most, limit)
	}
	tiny := memoryHost(t, 64<<10)
	_, err := tiny.LoadFor(t.Context(), sandbox.Loading{Tenant: "a"}, moduleBytes(t, "services"))
	wantLack(t, err, 64<<10)
}

// What a guest does to describe itself is told, at its end and meanwhile, for each tenant that has the module, and its tenant can end it.
func TestDescriptionIsPaid(t *testing.T) {
	h := newHost(t, sandbox.Config{DescribeTimeout: 100 * time.Millisecond})
	fuel, core := map[string]uint64{}, map[string]time.Duration{}
	loads := func(tenant string, wasm []byte) error {
		p, err := h.LoadFor(t.Context(), sandbox.Loading{Tenant: tenant, Spend: func(n uint64, took time.Duration) error {
			fuel[tenant], core[tenant] = fuel[tenant]+n, core[tenant]+took
			return nil
		}}, wasm)
		if err == nil {
			err = p.Close()
		}
		return err
	}
	for _, tenant := range []string{"a", "b"} {
		if err := loads(tenant, moduleBytes(t, "values")); err != nil {
			t.Fatal(err)
		}
	}
	if fuel["a"] == 0 || fuel["a"] != fuel["b"] {
		t.Errorf("two tenants paid %v for the same module, want the same", fuel)
	}
	wantReject(t, loads("c", hostileModule(t, "describe-loop")), "describe", "")
	if fuel["c"] < 1000*fuel["a"] || core["c"] == 0 || core["c"] != h.CoreTime("c") {
		t.Errorf("a loop was paid with %d fuel and %v of a core, which had it for %v", fuel["c"], core["c"], h.CoreTime("c"))
	}

	enough := errors.New("that is enough")
	_, err := h.LoadFor(t.Context(), sandbox.Loading{Tenant: "d", Spend: func(uint64, time.Duration) error { return enough }}, hostileModule(t, "describe-loop"))
	var ce *sandbox.CallError
	if !errors.As(err, &ce) || ce.Kind != sandbox.KindQuota || !errors.Is(err, enough) {
		t.Errorf("got %v, want that its tenant ended it", err)
	}
}
