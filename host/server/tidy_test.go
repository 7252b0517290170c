package server

import (
	"log/slog"
	"runtime/debug"
	"testing"
	"time"
)

// What a burst leaves behind is given back once, in the background if it is much, and what is in use is not looked for again and again.
func TestMemoryOfABurstIsGivenBack(t *testing.T) {
	debug.FreeOSMemory() // what other tests have left is not what this one looks for
	inUse := int64(0)
	tidy := &tidier{inUse: func() int64 { return inUse }, log: slog.New(slog.DiscardHandler)}
	burst := make([][]byte, 0, 40)
	for range cap(burst) {
		block := make([]byte, 16<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		burst = append(burst, block)
	}
	if before := heldByGo(); before < 640<<20 {
		t.Fatalf("the heap has %d bytes with 640 MiB in use", before)
	}
	inUse = 640 << 20
	if tidy.look(t.Context()) {
		t.Error("memory was given back while requests hold it")
	}
	if burst[39][0] != 1 {
		t.Error("the burst is gone")
	}
	clear(burst)
	inUse = 0
	if !tidy.look(t.Context()) {
		t.Error("nothing was given back")
	}
	tick := time.NewTicker(10 * time.Millisecond) // Go gives it back, in the background
	defer tick.Stop()
	for looks := 0; heldByGo() > 200<<20; looks++ {
		if looks == 6000 {
			t.Fatalf("%d bytes are left", heldByGo())
		}
		<-tick.C
	}
	if tidy.look(t.Context()) {
		t.Error("memory was given back twice")
	}
}

// What is left of smaller bursts is given back when the server has been calm for a minute.
func TestLessIsGivenBackWhenItIsCalmForLong(t *testing.T) {
	debug.FreeOSMemory()
	tidy := &tidier{inUse: func() int64 { return 0 }, log: slog.New(slog.DiscardHandler), left: heldByGo()}
	tidy.calm() // counts from here on
	burst := make([]byte, 160<<20)
	for i := 0; i < len(burst); i += 4096 {
		burst[i] = 1
	}
	if burst[4096] != 1 {
		t.Fatal("the burst is gone")
	}
	for i := range calmLong {
		if tidy.look(t.Context()) {
			t.Fatalf("memory was given back at look %d", i)
		}
		if !tidy.calm() {
			t.Fatal("160 MiB are no flood")
		}
	}
	if !tidy.look(t.Context()) {
		t.Error("nothing was given back")
	}
	if tidy.look(t.Context()) {
		t.Error("memory was given back twice")
	}
}
