package schedclass

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// policies returns the scheduling policy of each thread of a process, as the system has it.
func policies(t *testing.T, pid int) map[int]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		tid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		out[tid] = fields[41-3] // field 41 of proc_pid_stat(5); the first two were cut off
	}
	return out
}

func want(t *testing.T, pid, policy int) {
	t.Helper()
	for tid, got := range policies(t, pid) {
		if got != strconv.Itoa(policy) {
			t.Errorf("thread %d of process %d has policy %s, want %d", tid, pid, got, policy)
		}
	}
}

func needAvailable(t *testing.T) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
}

func TestThread(t *testing.T) {
	needAvailable(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for class, policy := range map[Class]int{Idle: unix.SCHED_IDLE, Normal: unix.SCHED_NORMAL} {
			if err := Thread(class); err != nil {
				t.Fatal(err)
			}
			if got := policies(t, os.Getpid())[unix.Gettid()]; got != strconv.Itoa(policy) {
				t.Errorf("class %v has policy %s, want %d", class, got, policy)
			}
		}
	}
	if err := Thread(Normal); err != nil {
		t.Fatal(err)
	}
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || got != nice {
		t.Errorf("the niceness is %d, was %d (%v)", got, nice, err)
	}
}

// TestAvailableLeavesNothing asks often: threads that cannot come back must not stay with the program.
func TestAvailableLeavesNothing(t *testing.T) {
	for range 50 {
		_ = Available() //nolint:errcheck // whatever it is here
	}
	want(t, os.Getpid(), unix.SCHED_NORMAL)
}

func TestProcess(t *testing.T) {
	needAvailable(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childName+"=1")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if n := len(policies(t, pid)); n < 2 {
		t.Fatalf("the child has %d threads, the test needs several", n)
	}
	for _, c := range []struct {
		class  Class
		policy int
	}{{Idle, unix.SCHED_IDLE}, {Normal, unix.SCHED_NORMAL}} {
		if err := Process(pid, c.class); err != nil {
			t.Fatal(err)
		}
		want(t, pid, c.policy)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	if err := Process(pid, Idle); err == nil {
		t.Error("a process that has ended was moved")
	}
}

const childName = "TANDEM_SCHEDCLASS_CHILD"

// TestChild is the process that TestProcess moves.
func TestChild(t *testing.T) {
	if os.Getenv(childName) == "" {
		t.Skip("only for TestProcess")
	}
	if _, err := os.Stdout.WriteString("ready\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) //nolint:errcheck // its end is what it waits for
}
