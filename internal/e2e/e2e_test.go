// Package e2e tests the real server binary from outside: both examples over every protocol, bad input, and power cuts.
package e2e

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
)

// root is the project's folder.
func root(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end tests are not short")
	}
	dir, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// start starts a server for one test; its log is shown when the test fails.
func start(t *testing.T, o rig.Options) *rig.Server {
	t.Helper()
	o.Root = root(t)
	log := &logBuffer{}
	o.Log = log
	s, err := rig.Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", log.String())
		}
	})
	return s
}

// logBuffer takes what two goroutines write and read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// shared is a server with the examples loaded, for all tests that only call it.
var shared struct {
	once   sync.Once
	server *rig.Server
	log    logBuffer
	err    error
}

func examples(t *testing.T) *rig.Server {
	t.Helper()
	dir := root(t)
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		shared.server, shared.err = rig.Start(context.WithoutCancel(ctx), rig.Options{Root: dir, Log: &shared.log})
		if shared.err == nil {
			shared.err = rig.LoadExamples(ctx, dir, shared.server.Client, func(string) {})
		}
	})
	if shared.err != nil {
		t.Fatalf("%v\n%s", shared.err, shared.log.String())
	}
	return shared.server
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil && code == 0 {
			_, _ = os.Stderr.WriteString("stop the shared server: " + err.Error() + "\n" + shared.log.String())
			code = 1
		}
	}
	os.Exit(code)
}
