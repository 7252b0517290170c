package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/internal/confine"
)

// Exit codes of a compiling child.
const (
	// ExitCompiled: the code is in the folder.
	ExitCompiled = 0
	// ExitRefused: the module is at fault; standard error says why.
	ExitRefused = 3
	// ExitBroken: anything else went wrong; standard error says what.
	ExitBroken = 4
)

// maxChildInput bounds the module that a child reads: metered modules are larger than those that were uploaded.
const maxChildInput = 256 << 20

// ChildCompiler compiles in a child process with limits of its own, so that no module can make the server slow, large or
// dead. It needs no set-up; calls may overlap, each has its own child.
type ChildCompiler struct {
	// Command is the program and its first arguments; the folder follows as the last one. It must call CompileChild.
	Command []string
	// MemoryBytes bounds the child's memory. Default 2 GiB.
	MemoryBytes int64
	// CPU bounds its processor time, in whole seconds. Default 30 s.
	CPU time.Duration
	// Wall bounds how long it may take. Default 45 s.
	Wall time.Duration
}

var _ Compiler = (*ChildCompiler)(nil)

// addressSlack is what a Go process reserves without using it.
const addressSlack = 4 << 30

// Compile implements [Compiler].
func (c *ChildCompiler) Compile(ctx context.Context, wasm []byte, dir string) error {
	memory, cpu, wall := c.MemoryBytes, c.CPU, c.Wall
	orDefault(&memory, 2<<30)
	orDefault(&cpu, 30*time.Second)
	orDefault(&wall, 45*time.Second)
	if len(c.Command) == 0 {
		return errors.New("compile: no command for the child process")
	}
	cctx, cancel := context.WithTimeout(ctx, wall)
	defer cancel()
	cmd := exec.CommandContext(cctx, c.Command[0], append(c.Command[1:len(c.Command):len(c.Command)], dir)...) //nolint:gosec // the command is the server's own
	cmd.Stdin = bytes.NewReader(wasm)
	said := &tail{max: 4 << 10}
	cmd.Stderr = said
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	cmd.WaitDelay = time.Second
	ended, err := confine.Start(cmd, &confine.Rights{
		Memory: uint64(memory), Address: uint64(memory) + addressSlack, FileSize: uint64(memory), CPU: uint64(cpu / time.Second), Files: 64,
		LowPriority: true, Write: []string{dir},
	})
	if err == nil {
		err = <-ended
	}
	return childError(ctx, cctx, err, said.String())
}

// childError says how a child ended.
func childError(ctx, cctx context.Context, err error, said string) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("compile: %w", cause)
	}
	var exit *exec.ExitError
	switch {
	case cctx.Err() != nil:
		return fmt.Errorf("%w: it took too long", ErrCompile)
	case !errors.As(err, &exit):
		return fmt.Errorf("start the compiler: %w", err)
	case exit.ExitCode() == ExitRefused:
		return fmt.Errorf("%w: %s", ErrCompile, said)
	case exit.ExitCode() == ExitBroken:
		return fmt.Errorf("the compiler broke: %s", said)
	default: // killed, or its memory was used up
		return fmt.Errorf("%w: it needs more memory or processor time than it may have (%s)", ErrCompile, exit.ProcessState)
	}
}

// tail keeps the first bytes of what is written to it.
type tail struct {
	b   []byte
	max int
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[:min(len(p), t.max-len(t.b))]...)
	return len(p), nil
}

// String returns what was kept, as one line.
func (t *tail) String() string { return strings.TrimSpace(guestText(t.b)) }

// CompileChild is the whole work of a compiling child process: it takes the limits that its parent set, reads a module
// from in, compiles it into dir and returns the code with which the process must exit. What went wrong is written to
// report, in one line. It changes the limits of the process for good; call it from a process that does nothing else.
func CompileChild(ctx context.Context, in io.Reader, dir string, report io.Writer) int {
	err := compileChild(ctx, in, dir)
	if err == nil {
		return ExitCompiled
	}
	_, _ = fmt.Fprintln(report, strings.TrimPrefix(err.Error(), ErrCompile.Error()+": ")) // nobody is there to be told
	if errors.Is(err, ErrCompile) {
		return ExitRefused
	}
	return ExitBroken
}

func compileChild(ctx context.Context, in io.Reader, dir string) error {
	if _, err := confine.Process(); err != nil {
		return err
	}
	wasm, err := io.ReadAll(io.LimitReader(in, maxChildInput+1))
	if err != nil {
		return fmt.Errorf("read module: %w", err)
	}
	if len(wasm) > maxChildInput {
		return fmt.Errorf("%w: the module is larger than %d bytes", ErrCompile, maxChildInput)
	}
	return compileInto(ctx, wasm, dir)
}
