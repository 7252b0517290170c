//go:build cgo && linux

package pulse_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/pulse"
	"github.com/tandem-serve/tandem/internal/schedclass/schedclasstest"
)

// threads returns what proc_pid_status(5) says of the pulse's threads, by number and field.
func threads(t *testing.T) map[int]map[string]string {
	t.Helper()
	names, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			fields[key] = strings.TrimSpace(value)
		}
		if fields["Name"] != "tandem-pulse" {
			continue
		}
		tid, err := strconv.Atoi(fields["Pid"])
		if err != nil {
			t.Fatal(err)
		}
		out[tid] = fields
	}
	return out
}

// beats returns how often each of the threads has gone to sleep so far.
func beats(t *testing.T) map[int]int {
	t.Helper()
	out := map[int]int{}
	for tid, fields := range threads(t) {
		n, err := strconv.Atoi(fields["voluntary_ctxt_switches"])
		if err != nil {
			t.Fatal(err)
		}
		out[tid] = n
	}
	return out
}

// until looks every 20 ms whether ok, ten seconds at most.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s: %v", what, threads(t))
}

func TestFor(t *testing.T) {
	cores := cores(t)
	for range 2 { // they wake up again
		var asking sync.WaitGroup
		for range 8 {
			asking.Go(func() {
				if err := pulse.For(100 * time.Millisecond); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		first := beats(t)
		until(t, "not every core beats", func() bool {
			if err := pulse.For(100 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			now := beats(t)
			for tid, n := range now {
				if n < first[tid]+10 {
					return false
				}
			}
			return len(now) == len(cores)
		})
		last := map[int]int{}
		until(t, "they beat for longer than was asked", func() bool {
			before := last
			last = beats(t)
			return maps.Equal(before, last)
		})
	}
}

// TestThreads sees that there is one for each core, of the class of real-time threads where this process may have them, and that they take no signal.
func TestThreads(t *testing.T) {
	cores := cores(t)
	if err := pulse.For(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	until(t, "not each core has a thread", func() bool {
		var theirs []string
		for _, fields := range threads(t) {
			theirs = append(theirs, fields["Cpus_allowed_list"])
		}
		slices.Sort(theirs)
		return slices.Equal(theirs, cores)
	})
	policy := unix.SCHED_NORMAL
	if mayRealTime() {
		policy = unix.SCHED_FIFO
	}
	policies := schedclasstest.Policies(t, os.Getpid())
	for tid, fields := range threads(t) {
		if policies[tid] != policy {
			t.Errorf("thread %d has policy %d, want %d", tid, policies[tid], policy)
		}
		blocked, err := strconv.ParseUint(fields["SigBlk"], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, signal := range []unix.Signal{unix.SIGURG, unix.SIGPROF, unix.SIGTERM, unix.SIGCHLD} {
			if blocked&(1<<(signal-1)) == 0 {
				t.Errorf("thread %d takes signal %v, which is for Go's", tid, signal)
			}
		}
	}
}

// cores returns those that the process may run on, sorted as text.
func cores(t *testing.T) []string {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	var out []string
	for core := range len(set) * 64 {
		if set.IsSet(core) {
			out = append(out, fmt.Sprint(core))
		}
	}
	slices.Sort(out)
	return out
}

// mayRealTime tells whether a thread of this process can be one.
func mayRealTime() bool {
	may := make(chan bool)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		may <- unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0) == nil
	}()
	return <-may
}

func BenchmarkFor(b *testing.B) {
	for b.Loop() {
		if err := pulse.For(time.Millisecond); err != nil {
			b.Fatal(err)
		}
	}
}
