package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

// fakeDebian puts an apt-get on PATH that counts its calls in a file and leaves a package of the named files, and a
// dpkg-deb that gives them out. Without lists, apt-get downloads only after an update.
func fakeDebian(t *testing.T, lists bool, names ...string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	var data bytes.Buffer
	archive := tar.NewWriter(&data)
	for _, name := range append(names, "./usr/share/doc/copyright") {
		if err := archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(good)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(good)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	need := "true"
	if !lists {
		need = "case \"$*\" in *download*) [ -f lists/have ] || { echo 'E: Unable to locate package' >&2; exit 100; } ;; esac"
	}
	for name, text := range map[string]string{
		"apt-get":  "echo \"$*\" >>" + dir + "/calls\n" + need + "\ncase \"$*\" in *update*) touch lists/have ;; *) cp " + dir + "/data x_1_amd64.deb ;; esac",
		"dpkg-deb": "cat \"$2\"",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), data.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	return func() string {
		said, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		return string(said)
	}
}

func inChromium() []string {
	var names []string
	for _, name := range ortlib.SwiftShaderFiles() {
		names = append(names, "./usr/lib/chromium/"+name)
	}
	return names
}

func TestSwiftShader(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lists bool
		calls int
	}{{"with lists", true, 1}, {"without lists", false, 3}} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			s := newSetup(t, nil, &out)
			calls := fakeDebian(t, tc.lists, inChromium()...)
			for range 2 {
				if err := s.ensure(t.Context(), swiftShader); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Count(calls(), "\n"); got != tc.calls {
				t.Errorf("got %d calls of apt-get, want %d:\n%s", got, tc.calls, calls())
			}
			if got := strings.Count(out.String(), "\n"); got != 1 {
				t.Errorf("said %q, want one line", out.String())
			}
			env, err := ortlib.SwiftShader(s.root)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(env["VK_ICD_FILENAMES"]); err != nil || string(got) != good {
				t.Errorf("got %q, %v", got, err)
			}
			left, err := os.ReadDir(filepath.Join(s.root, ".cache", "swiftshader"))
			if err != nil || len(left) != 1 {
				t.Errorf("%v left beside it, %v", left, err)
			}
		})
	}
}

func TestSwiftShaderFailures(t *testing.T) {
	var out bytes.Buffer
	s := newSetup(t, nil, &out)
	fakeDebian(t, true, inChromium()[:2]...)
	if err := s.ensure(t.Context(), swiftShader); err == nil || !strings.Contains(err.Error(), "libvulkan.so.1 is not in the package") {
		t.Errorf("a package without a file: got %v", err)
	}
	if _, err := ortlib.SwiftShader(s.root); err == nil {
		t.Error("half a driver was installed")
	}
	t.Setenv("PATH", t.TempDir())
	if err := s.ensure(t.Context(), swiftShader); err == nil || !strings.Contains(err.Error(), "apt-get is missing") {
		t.Errorf("without apt-get: got %v", err)
	}
}
