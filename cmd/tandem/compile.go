package main

import (
	"context"
	"fmt"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// compileCmd is the child process in which a server compiles what tenants upload: it has limits of its own, so that no
// module can make the server slow, large or dead. People have no use for it.
type compileCmd struct {
	Dir string `arg:"" help:"Folder for the compiled code."`
}

// childError carries the exit code that the parent process reads.
type childError int

func (c childError) Error() string { return fmt.Sprintf("compiling ended with code %d", int(c)) }

// Run compiles the module on standard input.
func (c *compileCmd) Run(ctx context.Context, e *env) error {
	if code := sandbox.CompileChild(ctx, e.in, c.Dir, e.err); code != sandbox.ExitCompiled {
		return fmt.Errorf("%w: %w", errSaid, childError(code))
	}
	return nil
}
