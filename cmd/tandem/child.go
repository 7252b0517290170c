package main

import (
	"context"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/runners/worker"
)

// child does what a server starts processes of this program for, and reports whether args ask for it: "worker" runs the models of a
// tenant, "compile FOLDER" compiles a plugin on standard input, each with limits of its own. People have no use for either, and neither
// waits for the command line of people, which takes longer to set up than the rest of a start.
func child(ctx context.Context, args []string, s streams) (code int, asked bool) {
	switch {
	case len(args) == 1 && args[0] == "worker":
		return worker.Main(ctx, s.err), true
	case len(args) == 2 && args[0] == "compile":
		return sandbox.CompileChild(ctx, s.in, args[1], s.err), true
	}
	return 0, false
}
