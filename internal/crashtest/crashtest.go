// Package crashtest kills processes that write, at random moments, for the tests of what a store keeps then. The process is the
// test binary itself: its TestMain calls Child first.
package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// environment is how a child knows that it is one, and its folder.
const environment = "TANDEM_CRASH_DIR"

// afterFirst bounds the moment of the kill: at most so long after the first line.
const afterFirst = 50 * time.Millisecond

// Child does nothing in a test, and in a process that Kill started calls write with the folder and ends. Write goes on until it is
// killed, and says on standard output, a line each, what was acknowledged; it may do so from many goroutines, with one write for
// a line.
func Child(ctx context.Context, write func(ctx context.Context, dir string) error) {
	dir := os.Getenv(environment)
	if dir == "" {
		return
	}
	fmt.Fprintln(os.Stderr, "the child ended by itself:", write(ctx, dir))
	os.Exit(1)
}

// Rounds returns how often a test kills: TANDEM_CRASHES, or 20.
func Rounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("TANDEM_CRASHES")
	if s == "" {
		return 20
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("TANDEM_CRASHES: %v", err)
	}
	return n
}

// Kill runs a child in dir, with more of the environment, until some moment after its first line, and hands every line to
// said, from the test's own goroutine. It returns when the child has ended.
func Kill(t *testing.T, dir string, said func(line string), more ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), environment+"="+dir), more...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said(lines.Text())
		if kill == nil {
			kill = time.AfterFunc(rand.N(afterFirst), func() { _ = cmd.Process.Kill() }) // it may have failed by then
		}
	}
	if err := cmd.Wait(); err == nil || kill == nil {
		t.Fatalf("the child ended by itself: %v", err)
	}
}
