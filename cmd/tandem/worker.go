package main

import (
	"context"
	"fmt"

	"github.com/tandem-serve/tandem/runners/worker"
)

// workerCmd is the child process in which a server runs the models of one tenant. People have no use for it.
type workerCmd struct{}

// Run serves the server that started the process.
func (workerCmd) Run(ctx context.Context, e *env) error {
	if code := worker.Main(ctx, e.err); code != 0 {
		return fmt.Errorf("%w: the worker ended with code %d", errSaid, code)
	}
	return nil
}
