package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/rig"
	"github.com/tandem-serve/tandem/internal/schedclass/schedclasstest"
)

// canMove tells whether this process, and so a server that it starts, may move threads out of the idle class: it asks for the right, and
// not the server's own code.
func canMove() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NICE, &limit); err == nil && limit.Cur >= 20 {
		return true
	}
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_SYS_NICE) != 0
}

// TestBusyTenantWorksBehind has one tenant's plugins spin: while another calls, the threads that spin are idle ones, and when either has
// ended, none is left so.
func TestBusyTenantWorksBehind(t *testing.T) {
	if !canMove() {
		t.Skip("needs CAP_SYS_NICE or RLIMIT_NICE")
	}
	s := start(t, rig.Options{})
	busy := newTenant(t, s, "busy")
	pushHostile(t, busy)
	quiet := newVictim(t, s)
	if n := schedclasstest.Count(t, s.PID(), unix.SCHED_IDLE); n > 0 {
		t.Fatalf("%d threads are idle ones before anybody called", n)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var spinning sync.WaitGroup
	for range 4 {
		spinning.Go(func() { _, _ = busy.Infer(ctx, "spin", mode(0)) }) // it ends when the test stops it
	}
	until := func(what string, met func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			if l := quiet.load(t, 50*time.Millisecond); len(l.failed) > 0 {
				t.Fatalf("calls of the other failed: %v", l.failed)
			}
			if met() {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("not within 20 s: %s (%d threads are idle ones)", what, schedclasstest.Count(t, s.PID(), unix.SCHED_IDLE))
			}
		}
	}
	until("the threads that spin are idle ones", func() bool { return schedclasstest.Count(t, s.PID(), unix.SCHED_IDLE) > 0 })
	stop()
	spinning.Wait()
	until("no thread is an idle one any more", func() bool { return schedclasstest.Count(t, s.PID(), unix.SCHED_IDLE) == 0 })
}
