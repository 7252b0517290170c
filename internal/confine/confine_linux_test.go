package confine_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/confine"
)

// tryEnv has what a child of this test tries, childRightsEnv the rights of a child of its own, as JSON.
const (
	tryEnv         = "TANDEM_TEST_TRY"
	childRightsEnv = "TANDEM_TEST_RIGHTS"
)

// TestMain makes this binary the child when it is started as one.
func TestMain(m *testing.M) {
	if what := os.Getenv(tryEnv); what != "" {
		os.Exit(child(what))
	}
	os.Exit(m.Run())
}

// child gives up its rights and tries something, and says how that went.
func child(what string) int {
	if _, err := confine.Process(); err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	name, arg, _ := strings.Cut(what, " ")
	try, ok := tries[name]
	if !ok {
		fmt.Fprintln(os.Stdout, "nothing called", name)
		return 1
	}
	for _, line := range try(arg) {
		fmt.Fprintln(os.Stdout, line)
	}
	return 0
}

// tries are what children do; each line that comes back is an answer.
var tries = map[string]func(arg string) []string{
	"calls": func(string) []string {
		var out []string
		for name, errno := range confine.Calls() {
			out = append(out, fmt.Sprintf("%s %v", name, errno))
		}
		return out
	},
	"signal-self": func(string) []string { return said(unix.Tgkill(os.Getpid(), unix.Gettid(), 0)) },
	"signal-parent": func(string) []string {
		return append(said(unix.Kill(os.Getppid(), 0)), said(unix.Tgkill(os.Getppid(), os.Getppid(), 0))...)
	},
	"read": func(path string) []string {
		_, err := os.ReadFile(path)
		return said(err)
	},
	"write":    func(path string) []string { return said(os.WriteFile(path, []byte("new"), 0o600)) },
	"truncate": func(path string) []string { return said(os.Truncate(path, 0)) },
	"remove":   func(path string) []string { return said(os.Remove(path)) },
	"run": func(path string) []string {
		return said(exec.CommandContext(context.Background(), path).Run())
	},
	"run-later": func(path string) []string {
		if err := confine.NoPrograms(); err != nil {
			return said(err)
		}
		var out []string
		for range 4 { // on threads that there were, and new ones
			ran := make(chan error)
			go func() {
				runtime.LockOSThread() // ends with the goroutine
				ran <- exec.CommandContext(context.Background(), path).Run()
			}()
			out = append(out, said(<-ran)...)
		}
		return out
	},
	"open-many": func(string) []string {
		var files []*os.File
		for range 100 {
			f, err := os.Open(os.DevNull)
			if err != nil {
				return said(err)
			}
			files = append(files, f)
		}
		return []string{fmt.Sprint(len(files), " open")}
	},
	"map": func(size string) []string {
		var n int
		if _, err := fmt.Sscan(size, &n); err != nil {
			return said(err)
		}
		_, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		return said(err)
	},
	"reserve": func(size string) []string {
		var n int
		if _, err := fmt.Sscan(size, &n); err != nil {
			return said(err)
		}
		_, err := unix.Mmap(-1, 0, n, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		return said(err)
	},
	"state": func(string) []string { return []string{state()} },
	"threads": func(dir string) []string {
		var out []string
		for range 40 { // of which some are on threads that there were
			is := make(chan string)
			go func() {
				runtime.LockOSThread() // ends with the goroutine
				is <- said(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))[0] + ", " + state()
			}()
			out = append(out, <-is)
		}
		return out
	},
	"lacks": func(string) []string { return append(confine.Lacks(), "that is all") },
	"spin": func(string) []string {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		}
		return []string{"still there"}
	},
	"without-landlock": func(what string) []string {
		if err := confine.DenyLandlock(); err != nil {
			return said(err)
		}
		return parent(what)
	},
	"parent": parent,
	"group":  func(string) []string { return []string{fmt.Sprint(unix.Getpgrp() == os.Getpid())} },
	"wait": func(string) []string {
		fmt.Fprintln(os.Stdout, "waiting")
		for {
			_ = unix.Pause()
		}
	},
}

// state says what binds the calling thread.
func state() string {
	noNew, _ := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	var core unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &core)
	priority, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	return fmt.Sprintf("no_new_privs %d, core %d, nice %d", noNew, core.Max, 20-priority)
}

// parent has a child of its own try something, which says it itself.
func parent(what string) []string {
	var rights *confine.Rights
	if err := json.Unmarshal([]byte(os.Getenv(childRightsEnv)), &rights); err != nil {
		return said(err)
	}
	cmd := command(context.Background(), what)
	cmd.Stdout = os.Stdout
	ended, err := confine.Start(cmd, rights)
	if err == nil {
		err = <-ended
	}
	if err != nil {
		return said(err)
	}
	return nil
}

// said is what a child says of how something went.
func said(err error) []string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return []string{"ok"}
	case errors.As(err, &errno):
		return []string{unix.ErrnoName(errno)}
	}
	return []string{err.Error()}
}

// command returns a child that tries something, ready to be started.
func command(ctx context.Context, what string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), tryEnv+"="+what)
	return cmd
}

// run has a child try something with these rights, nil for all, and returns what it says, and how it ended.
func run(t *testing.T, rights *confine.Rights, what string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := command(ctx, what)
	cmd.Stdout, cmd.Stderr = &out, &out
	ended, err := confine.Start(cmd, rights)
	if err == nil {
		err = <-ended
	}
	return strings.TrimSpace(out.String()), err
}

// try returns what a child says that ends well.
func try(t *testing.T, rights *confine.Rights, what string) string {
	t.Helper()
	out, err := run(t, rights, what)
	if err != nil {
		t.Fatalf("%s: %v: %s", what, err, out)
	}
	return out
}

// want checks what a child says.
func want(t *testing.T, rights *confine.Rights, what, answer string) {
	t.Helper()
	if got := try(t, rights, what); got != answer {
		t.Errorf("%s: got %q, want %q", what, got, answer)
	}
}

// Every call that a confined process has no use for fails, and would have got further otherwise: with EPERM they would not say why.
func TestCalls(t *testing.T) {
	t.Parallel()
	if !strings.Contains(try(t, nil, "calls"), "socket errno 0") {
		t.Fatal("a process that is not confined has no sockets: the test says nothing")
	}
	open := map[string]bool{} // calls that are refused here anyway
	for line := range strings.Lines(try(t, nil, "calls")) {
		if strings.Contains(line, unix.EPERM.Error()) {
			open[line] = true
		}
	}
	if len(open) > 8 {
		t.Errorf("%d calls are refused without being confined: %v", len(open), open)
	}
	lines := strings.Split(try(t, &confine.Rights{}, "calls"), "\n")
	if len(lines) < 20 {
		t.Errorf("only %d calls were tried", len(lines))
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, unix.EPERM.Error()) {
			t.Errorf("a confined process may call %s", line)
		}
	}
	want(t, &confine.Rights{}, "signal-self", "ok")
	want(t, nil, "signal-parent", "ok\nok")
	want(t, &confine.Rights{}, "signal-parent", "EPERM\nEPERM")
}

func TestState(t *testing.T) {
	t.Parallel()
	got := try(t, nil, "state")
	want(t, &confine.Rights{}, "state", "no_new_privs 1, core 0, "+got[strings.Index(got, "nice"):])
	want(t, &confine.Rights{LowPriority: true}, "state", "no_new_privs 1, core 0, nice 19")
}

func TestNoPrograms(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	rights := &confine.Rights{Write: []string{os.DevNull}} // which programs are started with
	want(t, rights, "run "+program, "ok")
	want(t, rights, "run-later "+program, "EPERM\nEPERM\nEPERM\nEPERM")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	want(t, &confine.Rights{Files: 50}, "open-many", "EMFILE")
	want(t, &confine.Rights{}, "open-many", "100 open")
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	out, err := run(t, &confine.Rights{FileSize: 2, Write: []string{dir}}, "write "+path) // the system may end it for that
	if info, statErr := os.Stat(path); statErr != nil || info.Size() != 2 || err == nil && out != "EFBIG" {
		t.Errorf("a file of 3 bytes, 2 being allowed: %v, %v, %s", info, err, out)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("the race detector wants more memory than the limits leave")
	}
	const mib = 1 << 20
	want(t, &confine.Rights{Memory: 256 * mib}, fmt.Sprint("map ", 512*mib), "ENOMEM")
	want(t, &confine.Rights{Memory: 1024 * mib}, fmt.Sprint("map ", 512*mib), "ok")
	want(t, &confine.Rights{Address: 4096 * mib}, fmt.Sprint("reserve ", 8192*mib), "ENOMEM")
	want(t, &confine.Rights{Memory: 256 * mib}, fmt.Sprint("reserve ", 8192*mib), "ok")
}

// The processor time is bounded: a process that goes on is ended.
func TestProcessorTime(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a second of processor time")
	}
	_, err := run(t, &confine.Rights{CPU: 1}, "spin")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == 0 {
		t.Errorf("got %v, want its end", err)
	}
}

// needed is what a child of this test has to read to begin at all.
func needed() []string {
	return []string{os.Args[0], "/usr", "/lib", "/lib64", "/proc", "/sys", "/dev", "/etc/ld.so.cache", "/no/such/file"}
}

func lacksLandlock(t *testing.T) bool {
	t.Helper()
	return strings.Contains(try(t, nil, "lacks"), "Landlock")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	if lacksLandlock(t) {
		t.Skip("this kernel has no Landlock")
	}
	mine, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{mine, other} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, out := filepath.Join(mine, "file"), filepath.Join(other, "file")
	writer := &confine.Rights{Write: []string{mine}}
	want(t, writer, "read "+out, "ok") // reading is not bounded
	want(t, writer, "write "+in, "ok")
	want(t, writer, "write "+out, "EACCES")
	want(t, writer, "truncate "+out, "EACCES")
	want(t, writer, "remove "+out, "EACCES")
	want(t, writer, "write "+filepath.Join(other, "another"), "EACCES")
	reader := &confine.Rights{Read: append(needed(), in)}
	want(t, reader, "read "+in, "ok")
	want(t, reader, "write "+in, "EACCES")
	want(t, reader, "read "+out, "EACCES")
	want(t, reader, "read /etc/passwd", "EACCES")
	want(t, reader, "read "+filepath.Join(mine, "..", filepath.Base(other), "file"), "EACCES")
	want(t, &confine.Rights{Read: append(needed(), other), Write: []string{mine}}, "read "+out, "ok")
	if text, err := os.ReadFile(out); err != nil || string(text) != "text" {
		t.Errorf("a file that was not to be written is %q, %v", text, err)
	}
	// What does not exist is left out when it is to be read, and is a fault when it is to be written.
	if text, err := run(t, &confine.Rights{Write: []string{"/no/such/folder"}}, "read "+in); err == nil || !strings.Contains(text, "/no/such/folder") {
		t.Errorf("a folder that does not exist: %v, %s", err, text)
	}
}

// A kernel without Landlock confines no files, and that is told; everything else holds.
func TestWithoutLandlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	rights, err := json.Marshal(&confine.Rights{Read: needed()})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(childRightsEnv, string(rights))
	want(t, nil, "without-landlock write "+path, "ok")
	want(t, nil, "without-landlock signal-parent", "EPERM\nEPERM")
	if got := try(t, nil, "without-landlock lacks"); !strings.Contains(got, "Landlock") {
		t.Errorf("it says that it lacks %q", got)
	}
}

// A child has a process group of its own, and ends with the process that started it.
func TestChildEndsWithItsParent(t *testing.T) {
	t.Setenv(childRightsEnv, "{}")
	want(t, nil, "parent group", "true")
	out, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	if err := out.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	cmd := command(t.Context(), "parent wait")
	cmd.Stdout = theirs
	ended, err := confine.Start(cmd, nil)
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the child of the child said %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 { // it has the pipe for as long as it lives
		t.Errorf("the child of the child is still there: %q, %v", rest, err)
	}
}

// What Linux takes from one thread is taken from all of them: those that there were, and new ones.
func TestEveryThread(t *testing.T) {
	if lacksLandlock(t) {
		t.Skip("this kernel has no Landlock")
	}
	for line := range strings.Lines(try(t, &confine.Rights{LowPriority: true, Write: []string{os.DevNull}}, "threads "+t.TempDir())) {
		if line = strings.TrimSpace(line); line != "EACCES, no_new_privs 1, core 0, nice 19" {
			t.Errorf("a thread of the child: %s", line)
		}
	}
}
