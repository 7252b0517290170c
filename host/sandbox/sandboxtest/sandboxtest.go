// Package sandboxtest builds and finds the plugins with which the sandbox is tested. Their sources are in testdata (C) and
// goplugin (Go).
package sandboxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// dir returns the folder of this package.
func dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// Read returns a test plugin that was built from C: its name is that of the source.
func Read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir(), "testdata", name+".wasm")) //nolint:gosec // a test's own data
}

// Module is Read for tests.
func Module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goPlugin builds the plugin in Go once for all tests of a process.
var goPlugin = sync.OnceValues(func() ([]byte, error) {
	tmp, err := os.MkdirTemp("", "goplugin")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	out := filepath.Join(tmp, "plugin.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".") //nolint:gosec // a test's own folder
	cmd.Dir = filepath.Join(dir(), "goplugin")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out) //nolint:gosec // a test's own folder
})

// BuildGo returns the test plugin in Go. It is built with the go command, which takes some seconds the first time.
func BuildGo() ([]byte, error) { return goPlugin() }

// GoPlugin is BuildGo for tests.
func GoPlugin(t testing.TB) []byte {
	t.Helper()
	b, err := goPlugin()
	if err != nil {
		t.Fatalf("build the plugin in Go: %v", err)
	}
	return b
}
