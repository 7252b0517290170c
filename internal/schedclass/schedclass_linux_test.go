package schedclass_test

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/schedclass"
	"github.com/tandem-serve/tandem/internal/schedclass/schedclasstest"
)

func want(t *testing.T, pid, policy int) {
	t.Helper()
	for tid, got := range schedclasstest.Policies(t, pid) {
		if got != policy {
			t.Errorf("thread %d of process %d has policy %d, want %d", tid, pid, got, policy)
		}
	}
}

func needAvailable(t *testing.T) {
	t.Helper()
	if err := schedclass.Available(); err != nil {
		t.Skip(err)
	}
}

// niceness returns that of the calling thread.
func niceness(t *testing.T) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - raw
}

func TestThread(t *testing.T) {
	needAvailable(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nice := niceness(t)
	for range 3 {
		for class, policy := range map[schedclass.Class]int{schedclass.Idle: unix.SCHED_IDLE, schedclass.Normal: unix.SCHED_NORMAL} {
			if err := schedclass.Thread(class); err != nil {
				t.Fatal(err)
			}
			if got := schedclasstest.Policies(t, os.Getpid())[unix.Gettid()]; got != policy {
				t.Errorf("class %v has policy %d, want %d", class, got, policy)
			}
		}
	}
	if err := schedclass.Thread(schedclass.Normal); err != nil {
		t.Fatal(err)
	}
	if got := niceness(t); got != nice {
		t.Errorf("the niceness is %d, was %d", got, nice)
	}
}

// TestAvailableLeavesNothing asks often: threads that cannot come back must not stay with the program.
func TestAvailableLeavesNothing(t *testing.T) {
	for range 50 {
		_ = schedclass.Available()
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
	if n := len(schedclasstest.Policies(t, pid)); n < 2 {
		t.Fatalf("the child has %d threads, the test needs several", n)
	}
	for _, c := range []struct {
		class  schedclass.Class
		policy int
	}{{schedclass.Idle, unix.SCHED_IDLE}, {schedclass.Normal, unix.SCHED_NORMAL}} {
		if err := schedclass.Process(pid, c.class); err != nil {
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
	if err := schedclass.Process(pid, schedclass.Idle); err == nil {
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
	_, _ = os.Stdin.Read(make([]byte, 1)) // its end is what it waits for
}
