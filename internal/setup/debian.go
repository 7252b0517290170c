package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

// swiftShader is what people call the software driver for Vulkan.
const swiftShader = "swiftshader"

// swiftShaderPackage is Debian's package that carries it. Its version follows Debian's security updates and is not pinned;
// apt checks its signature.
const swiftShaderPackage = "chromium-common"

// ensureSwiftShader makes the driver be there. It is for tests only, and taken out of the package: nothing is installed.
func (s *setup) ensureSwiftShader(ctx context.Context) (err error) {
	dest := ortlib.SwiftShaderDir(s.root)
	if whole(dest, ortlib.SwiftShaderFiles()) {
		return nil
	}
	for _, program := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s: %s is missing: it comes from Debian's package %s and is not known to be elsewhere", swiftShader, program, swiftShaderPackage)
		}
	}
	parent := filepath.Dir(dest)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	fmt.Fprintf(s.out, "%s: fetching Debian's package %s\n", swiftShader, swiftShaderPackage)
	deb, err := aptDownload(ctx, stage, swiftShaderPackage)
	if err != nil {
		return fmt.Errorf("%s: %w", swiftShader, err)
	}
	ready := filepath.Join(stage, "whole")
	if err := unpackDebian(ctx, deb, ready, ortlib.SwiftShaderFiles()); err != nil {
		return fmt.Errorf("%s from Debian's package %s: %w", swiftShader, swiftShaderPackage, err)
	}
	if err := os.Rename(ready, dest); err != nil && !whole(dest, ortlib.SwiftShaderFiles()) {
		return err
	}
	return nil
}

// whole reports whether dir has all the files.
func whole(dir string, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err != nil || info.Size() == 0
	})
}

// aptDownload downloads a package into dir with the machine's own sources. Where it has no lists of packages, or old ones,
// they are read into dir as well, so that the machine is left as it was.
func aptDownload(ctx context.Context, dir, pkg string) (deb string, err error) {
	private := []string{"-o", "APT::Sandbox::User=root", "-o", "Dir::State::Lists=" + dir + "/lists", "-o", "Dir::Cache=" + dir + "/cache"}
	if err := apt(ctx, dir, "-o", "APT::Sandbox::User=root", "download", pkg); err != nil {
		for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
				return "", err
			}
		}
		err := apt(ctx, dir, append(slices.Clone(private), "update")...)
		if err == nil {
			err = apt(ctx, dir, append(slices.Clone(private), "download", pkg)...)
		}
		if err != nil {
			return "", err
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("apt-get download left %d packages, want 1", len(found))
	}
	return found[0], nil
}

func apt(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-qq"}, args...)...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[len(args)-1], err, firstLine(string(said)))
	}
	return nil
}

// unpackDebian writes the files called names, wherever they lie in the package, into dir.
func unpackDebian(ctx context.Context, deb, dir string, names []string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	left, err := untar(tar.NewReader(out), dir, names)
	_, drainErr := io.Copy(io.Discard, out)
	if err := errors.Join(err, drainErr, cmd.Wait()); err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%s is not in the package", strings.Join(left, ", "))
	}
	return nil
}

// untar writes the regular files called names and returns those that it did not find.
func untar(archive *tar.Reader, dir string, names []string) (left []string, err error) {
	left = slices.Clone(names)
	for len(left) > 0 {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return left, nil
		}
		if err != nil {
			return left, fmt.Errorf("read package: %w", err)
		}
		i := slices.Index(left, path.Base(h.Name))
		if i < 0 || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(filepath.Join(dir, left[i]), archive); err != nil {
			return left, err
		}
		left = slices.Delete(left, i, i+1)
	}
	return nil, nil
}

func writeFile(name string, in io.Reader) error {
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
