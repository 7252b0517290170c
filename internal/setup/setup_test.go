package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const good = "the library's bytes"

// fakeNPM puts an npm on PATH whose pack runs script; $dest is the folder it has to leave a tarball in.
func fakeNPM(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --pack-destination ] && dest=$2; shift; done\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
}

func tarball(t *testing.T, name, content string) string {
	t.Helper()
	var buf bytes.Buffer
	zipped := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zipped)
	if err := archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "p.tgz")
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func newSetup(t *testing.T, env map[string]string, out *bytes.Buffer) *setup {
	t.Helper()
	sum := sha256.Sum256([]byte(good))
	files := []file{{"bin/lib.so", "lib.so", int64(len(good)), hex.EncodeToString(sum[:])}}
	return &setup{
		bundles: []bundle{{
			name: "lib", pkg: "lib-node", version: "1.0.0", bytes: 2_000_000, env: "ONNXRUNTIME_LIB", needs: "1.0 or newer",
			files: map[string][]file{"os-cpu": files},
		}},
		root: t.TempDir(), getenv: func(k string) string { return env[k] }, platform: "os-cpu", out: out,
	}
}

func TestEnsureFetchesOnceAndRepairs(t *testing.T) {
	var out bytes.Buffer
	s := newSetup(t, nil, &out)
	fakeNPM(t, "cp "+tarball(t, "package/bin/lib.so", good)+" \"$dest\"/lib-node-1.0.0.tgz")
	path := filepath.Join(s.root, ".cache/lib/1.0.0/os-cpu/lib.so")
	check := func(when, want string) {
		t.Helper()
		out.Reset()
		if err := s.ensure(t.Context(), "lib"); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != good {
			t.Fatalf("%s: got %q, %v, want %q", when, got, err, good)
		}
		if out.String() != want {
			t.Fatalf("%s: said %q, want %q", when, out.String(), want)
		}
	}
	fetched := "lib 1.0.0: fetching 2 MB with npm\nlib 1.0.0: ready in .cache/lib/1.0.0/os-cpu\n"
	check("fresh", fetched)
	check("again", "")
	if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	check("damaged", fetched)
	left, err := os.ReadDir(filepath.Dir(filepath.Dir(path)))
	if err != nil || len(left) != 1 {
		t.Fatalf("folder holds %v, %v, want only os-cpu", left, err)
	}
}

func TestEnsureAtTheSameTime(t *testing.T) {
	pack := "cp " + tarball(t, "package/bin/lib.so", good) + " \"$dest\"/lib-node-1.0.0.tgz"
	fakeNPM(t, pack)
	root := newSetup(t, nil, nil)
	var wg sync.WaitGroup
	for range 4 {
		s := *root
		s.out = &bytes.Buffer{}
		wg.Go(func() {
			if err := s.ensure(t.Context(), "lib"); err != nil {
				t.Errorf("ensure: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestEnsureErrors(t *testing.T) {
	for _, test := range []struct {
		name, npm, want string
		edit            func(*setup)
	}{
		{name: "unknown bundle", want: `no "lib" to set up, only else`, edit: func(s *setup) { s.bundles[0].name = "else" }},
		{name: "npm missing", want: "npm is missing: install it"},
		{name: "other platform", want: "lib-node 1.0.0 has no file for plan9-mips: set ONNXRUNTIME_LIB to a library of your own (1.0 or newer)", edit: func(s *setup) { s.platform = "plan9-mips" }},
		{name: "no network", npm: `echo '{"error":{"code":"ENOTFOUND","summary":"no such host"}}'; exit 1`, want: "npm cannot reach its registry (ENOTFOUND)"},
		{name: "no such version", npm: `echo '{"error":{"code":"ETARGET","summary":"none"}}'; exit 1`, want: "npm's registry has no lib-node@1.0.0 (ETARGET)"},
		{name: "npm breaks", npm: `echo 'npm error it broke' >&2; echo second >&2; exit 3`, want: "npm pack lib-node@1.0.0: exit status 3: npm error it broke"},
		{name: "no tarball", npm: "exit 0", want: "npm pack left 0 packages, want 1"},
		{name: "no archive", npm: `echo hello >"$dest"/a.tgz`, want: "read package: unexpected EOF"},
		{name: "wrong digest", npm: "cp TARBALL \"$dest\"/a.tgz", want: "digest mismatch: bin/lib.so has SHA-256"},
		{name: "file missing", npm: "cp OTHER \"$dest\"/a.tgz", want: "bin/lib.so is not in the package"},
		{name: "own library missing", want: "ONNXRUNTIME_LIB: stat /nowhere/lib.so: no such file or directory: correct or unset ONNXRUNTIME_LIB", edit: func(s *setup) { s.getenv = func(string) string { return "/nowhere/lib.so" } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := strings.ReplaceAll(test.npm, "TARBALL", tarball(t, "package/bin/lib.so", strings.Repeat("x", len(good))))
			script = strings.ReplaceAll(script, "OTHER", tarball(t, "package/bin/lib.dll", good))
			if test.npm == "" {
				t.Setenv("PATH", t.TempDir())
			} else {
				fakeNPM(t, script)
			}
			s := newSetup(t, nil, &bytes.Buffer{})
			if test.edit != nil {
				test.edit(s)
			}
			err := s.ensure(t.Context(), "lib")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %q", err)
			}
			if _, err := os.Stat(filepath.Join(s.root, ".cache/lib/1.0.0/os-cpu")); err == nil {
				t.Fatal("a broken set-up left files")
			}
		})
	}
}

func TestEnsureStops(t *testing.T) {
	fakeNPM(t, "exec sleep 60")
	s := newSetup(t, nil, &bytes.Buffer{})
	ctx, cancel := context.WithCancel(t.Context())
	s.out = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if err := s.ensure(ctx, "lib"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestEnsureTakesOwnLibrary(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.so")
	if err := os.WriteFile(own, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	s := newSetup(t, map[string]string{"ONNXRUNTIME_LIB": own}, &bytes.Buffer{})
	if err := s.ensure(t.Context(), "lib"); err != nil {
		t.Fatal(err)
	}
}

func TestProgressBar(t *testing.T) {
	var out bytes.Buffer
	s := newSetup(t, nil, &out)
	s.drawBar(s.bundles[0], 1_000_000)
	if want := "\r\x1b[Klib 1.0.0 [" + strings.Repeat("=", 15) + strings.Repeat(" ", 15) + "] 1 / 2 MB"; out.String() != want {
		t.Fatalf("got %q, want %q", out.String(), want)
	}
}
