package sandbox

import (
	"bytes"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// TestValuesKeepWhatTheyHold makes, gives away and drops values, whose memory is used again: what the guest still has, and what somebody was
// given, stays as it was made.
func TestValuesKeepWhatTheyHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type made struct {
			n    uint32
			data []byte // what it must have
		}
		var h handles
		var live []made
		given := map[int]*value.Value{} // by what the bytes of it must be
		for i := range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"make", "drop", "drop", "give"}).Draw(t, "step") {
			case "make":
				mem := bytes.Repeat([]byte{byte(i)}, rapid.SampledFrom([]int{1, 63, 64, 1000, 1100, 1<<20 + 1}).Draw(t, "size"))
				r := &reader{mem: mem, handles: &h, budget: 1 << 30}
				var v value.Value
				if f := r.value(&v, &descriptor{kind: abi.KindBytes, dataLen: uint64(len(mem))}, nil, nil); f != "" {
					t.Fatal(f)
				}
				block, n := r.detach()
				if n != int64(len(mem)) {
					t.Fatalf("%d bytes detached, want %d", n, len(mem))
				}
				handle, ok := h.add(v, block, 1<<30)
				if !ok {
					t.Fatal("there is no room")
				}
				live = append(live, made{handle, bytes.Clone(mem)})
				clear(mem) // the guest goes on
			case "drop":
				if len(live) == 0 {
					continue
				}
				k := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				if !h.drop(live[k].n) {
					t.Fatalf("handle %d cannot be dropped", live[k].n)
				}
				live = append(live[:k], live[k+1:]...)
				if cap(h.dropped) > 1<<20 {
					t.Fatalf("%d bytes stay that count no more", cap(h.dropped))
				}
			case "give":
				if len(live) == 0 {
					continue
				}
				k := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				v, ok := h.give(live[k].n)
				if !ok {
					t.Fatalf("handle %d does not exist", live[k].n)
				}
				kept := *v
				given[int(live[k].data[0])] = &kept
			}
			for _, m := range live {
				if v, ok := h.get(m.n); !ok || !bytes.Equal(v.Data, m.data) {
					t.Fatalf("step %d: handle %d does not have what it was made of", i, m.n)
				}
			}
			for b, v := range given {
				if !bytes.Equal(v.Data, bytes.Repeat([]byte{byte(b)}, len(v.Data))) {
					t.Fatalf("step %d: what was given away at step %d has changed", i, b)
				}
			}
		}
		h.reset()
		if h.dropped != nil || h.bytes != 0 || h.live != 0 {
			t.Error("something is left for the next call")
		}
	})
}

// TestMakingAndDroppingAllocatesOnce would leave garbage of the size of each value otherwise.
func TestMakingAndDroppingAllocatesOnce(t *testing.T) {
	mem := make([]byte, 64<<10)
	h := handles{vals: make([]hostSide, 0, 1024)}
	cycle := func() {
		r := &reader{mem: mem, handles: &h, budget: 1 << 20}
		var v value.Value
		if f := r.value(&v, &descriptor{kind: abi.KindBytes, dataLen: uint64(len(mem))}, nil, nil); f != "" {
			t.Fatal(f)
		}
		block, _ := r.detach()
		n, ok := h.add(v, block, 1<<20)
		if !ok || !h.drop(n) {
			t.Fatal("it was not made")
		}
	}
	cycle()
	const times = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		cycle()
	}
	runtime.ReadMemStats(&after)
	if bytes := (after.TotalAlloc - before.TotalAlloc) / times; bytes > 4096 {
		t.Errorf("a value of 64 KiB that is made and dropped allocates %d bytes", bytes)
	}
}
