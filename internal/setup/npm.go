package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// npmPack downloads b's package into stage and returns the tarball's path. npm's own cache goes into stage too, so that
// nothing outside the project is written and nothing stays.
func (s *setup) npmPack(ctx context.Context, b bundle, stage string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is missing: install it (Debian: apt-get install npm; macOS: brew install node)" + orEnv(b))
	}
	dest := filepath.Join(stage, "package")
	if err := os.Mkdir(dest, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, npm, "pack", b.pkg+"@"+b.version, "--json", "--loglevel=error", "--ignore-scripts",
		"--no-update-notifier", "--cache", filepath.Join(stage, "npm"), "--pack-destination", dest)
	cmd.Dir = stage
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stop := s.progress(b, stage)
	err = cmd.Run()
	stop()
	if ctx.Err() != nil {
		return "", fmt.Errorf("download stopped: %w", context.Cause(ctx))
	}
	if err != nil {
		return "", npmError(b, stdout.Bytes(), stderr.String(), err)
	}
	found, err := filepath.Glob(filepath.Join(dest, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d packages, want 1", len(found))
	}
	return found[0], nil
}

func orEnv(b bundle) string {
	if b.env == "" {
		return ""
	}
	return fmt.Sprintf(", or set %s to a library of your own (%s)", b.env, b.needs)
}

// npmError makes one line of what npm said.
func npmError(b bundle, stdout []byte, stderr string, cause error) error {
	var said struct {
		Error struct{ Code, Summary string }
	}
	if json.Unmarshal(stdout, &said) != nil || said.Error.Summary == "" {
		said.Error.Summary = firstLine(stderr)
	}
	switch said.Error.Code {
	case "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "EHOSTUNREACH", "ENETUNREACH":
		return fmt.Errorf("npm cannot reach its registry (%s): check the network, or npm's registry and proxy settings with `npm config list`%s",
			said.Error.Code, orEnv(b))
	case "E404", "ETARGET":
		return fmt.Errorf("npm's registry has no %s@%s (%s): check the registry with `npm config get registry`%s",
			b.pkg, b.version, said.Error.Code, orEnv(b))
	}
	return fmt.Errorf("npm pack %s@%s: %w: %s", b.pkg, b.version, cause, firstLine(said.Error.Summary))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// progress tells how far the download is until stop is called: a line that is redrawn on a terminal, else one line.
func (s *setup) progress(b bundle, stage string) (stop func()) {
	if !s.tty {
		fmt.Fprintf(s.out, "%s %s: fetching %d MB with npm\n", b.name, b.version, b.bytes/1_000_000)
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			s.drawBar(b, min(folderBytes(filepath.Join(stage, "npm")), b.bytes))
			select {
			case <-done:
				fmt.Fprint(s.out, "\r\x1b[K")
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

func (s *setup) drawBar(b bundle, n int64) {
	const width = 30
	full := int(n * width / b.bytes)
	fmt.Fprintf(s.out, "\r\x1b[K%s %s [%s%s] %d / %d MB", b.name, b.version, strings.Repeat("=", full),
		strings.Repeat(" ", width-full), n/1_000_000, b.bytes/1_000_000)
}

// folderBytes adds up the files below dir, which another process is changing: what vanishes meanwhile counts as nothing.
func folderBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // see above
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
