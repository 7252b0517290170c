// Command demo shows both example graphs at work: it starts a server, loads the examples through the public API, calls
// them on the images and texts in examples/, prints the answers with what each node took, and stops the server.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := demo(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, out io.Writer) (err error) {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	begin := time.Now()
	var log bytes.Buffer
	server, err := rig.Start(ctx, rig.Options{Root: root, Log: &log})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log.Bytes())
	}
	defer func() {
		if serr := server.Stop(); serr != nil {
			err = errors.Join(err, fmt.Errorf("stop the server: %w\n%s", serr, log.Bytes()))
		}
	}()
	d := &show{out: out, root: root, client: server.Client}
	d.printf("Server on %s, ready after %v.\n\n", server.URL, time.Since(begin).Round(time.Millisecond))
	if err := rig.LoadExamples(ctx, root, server.Client, func(line string) { d.printf("  %s\n", line) }); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{d.images, d.texts, d.records} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	d.printf("\nAll done in %v. Start a server that stays with: make run\n", time.Since(begin).Round(100*time.Millisecond))
	return d.err
}
