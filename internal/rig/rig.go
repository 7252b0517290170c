// Package rig runs the real server binary on a temporary data folder and a free loopback port and loads the examples into
// it through the public API. The demo, the end-to-end tests and the benchmarks stand on it. It starts one goroutine a
// server, which waits for the process; Stop and Kill wait for it.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tandem-serve/tandem/sdk/client"
)

// Options says which server to start. Zero fields take their defaults.
type Options struct {
	// Root is the project's folder. Required.
	Root string
	// Data is the data folder. Default: a temporary one that Stop removes.
	Data string
	// Args are further arguments of "tandem serve".
	Args []string
	// Log gets what the server prints. Default: discarded.
	Log io.Writer
}

// Server is a running server.
type Server struct {
	URL    string
	Key    string
	Data   string
	Client *client.Client

	cmd       *exec.Cmd
	exited    chan error
	temporary bool
}

// Start starts the server and waits until it answers. It ends with ctx.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin := filepath.Join(o.Root, "bin", "tandem")
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("%s is missing: run make build", bin)
	}
	s := &Server{Data: o.Data, exited: make(chan error, 1)}
	if s.Data == "" {
		dir, err := os.MkdirTemp("", "tandem-")
		if err != nil {
			return nil, err
		}
		s.Data, s.temporary = dir, true
	}
	// A server that was killed leaves its address behind.
	if err := os.Remove(s.endpoint()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := append([]string{"serve", "--data", s.Data, "--listen", "127.0.0.1:0"}, o.Args...)
	s.cmd = exec.CommandContext(ctx, bin, args...)
	s.cmd.Stdout, s.cmd.Stderr = o.Log, o.Log
	s.cmd.Dir = o.Root
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 30 * time.Second
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.exited <- s.cmd.Wait() }()
	if err := s.wait(ctx); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

func (s *Server) endpoint() string { return filepath.Join(s.Data, "endpoint") }

// startTimeout bounds the time until a server has opened its stores and listens.
const startTimeout = 60 * time.Second

// wait reads where the server listens as soon as it says so. The listener is open by then, so the first call waits for
// the server and not the other way round.
func (s *Server) wait(ctx context.Context) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if url, err := os.ReadFile(s.endpoint()); err == nil && strings.HasSuffix(string(url), "\n") {
			s.URL = strings.TrimSpace(string(url))
			break
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("the server ended before it listened: %w", err)
		case <-deadline.C:
			return fmt.Errorf("the server did not listen within %v", startTimeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	key, err := os.ReadFile(filepath.Join(s.Data, "admin.key"))
	if err != nil {
		return err
	}
	s.Key = strings.TrimSpace(string(key))
	s.Client, err = client.New(s.URL, client.WithKey(s.Key))
	return err
}

// PID returns the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop stops the server gracefully, waits for it, and removes a temporary data folder. The error tells of an exit code
// that is not 0.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return errors.Join(<-s.exited, s.remove())
}

// Kill ends the server as a power cut would and keeps a data folder that was named. It is not an error that the server
// was killed.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var killed *exec.ExitError
	if err := <-s.exited; !errors.As(err, &killed) {
		return errors.Join(err, s.remove())
	}
	return s.remove()
}

func (s *Server) remove() error {
	if !s.temporary {
		return nil
	}
	return os.RemoveAll(s.Data)
}
