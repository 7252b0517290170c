package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// codeCache keeps compiled code in a folder:
//
//	wazero-VERSION-ARCH-OS/NAME   the runtime's files: machine code
//	manifest/KEY.json             for each module (KEY is the SHA-256 of its metered bytes), its files and their SHA-256
//	tmp/                          what is being compiled; emptied at start
//
// Code is loaded only when a manifest vouches for it. A file that is missing, changed or not in a manifest is compiled
// again. The folder must not be writable for others: who can write a manifest can run code here.
type codeCache struct {
	dir    string
	own    bool // made by this host, removed with it
	logger *slog.Logger
}

// manifest lists the files of one module.
type manifest struct {
	Files []cachedFile `json:"files"`
}

// cachedFile is one file of the runtime's, by its path in the cache.
type cachedFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// errCacheOpen says that a cache folder cannot be trusted.
var errCacheOpen = errors.New("the cache folder must belong to this user and be closed to others (mode 0700): its content is executed")

// openCache returns the cache in dir, or in a temporary folder when dir is "".
func openCache(dir string, logger *slog.Logger) (c *codeCache, err error) {
	c = &codeCache{dir: dir, logger: logger}
	if dir == "" {
		if c.dir, err = os.MkdirTemp("", "tandem-sandbox-"); err != nil {
			return nil, fmt.Errorf("create cache: %w", err)
		}
		c.own = true
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("create cache: %w", err)
	}
	info, err := os.Stat(c.dir)
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	if !private(info) {
		return nil, fmt.Errorf("open cache %s: %w", c.dir, errCacheOpen)
	}
	if err := os.RemoveAll(c.path("tmp")); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	for _, d := range []string{"tmp", "manifest"} {
		if err := os.MkdirAll(c.path(d), 0o700); err != nil {
			return nil, fmt.Errorf("open cache: %w", err)
		}
	}
	return c, nil
}

func (c *codeCache) close() error {
	if !c.own {
		return nil
	}
	return os.RemoveAll(c.dir)
}

func (c *codeCache) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *codeCache) manifestPath(bin []byte) string {
	key := sha256.Sum256(bin)
	return c.path("manifest", hex.EncodeToString(key[:])+".json")
}

// provide makes sure that the runtime finds whole code for bin.
func (c *codeCache) provide(ctx context.Context, comp Compiler, bin []byte) error {
	err := c.check(bin)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		c.logger.Warn("compiled code is damaged and is made again", slog.Any("error", err))
	}
	if err := c.drop(bin); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(c.path("tmp"), "")
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }() // emptied at the next start at the latest
	if err := comp.Compile(ctx, bin, tmp); err != nil {
		return err
	}
	return c.adopt(bin, tmp)
}

// check compares the files of bin with their manifest.
func (c *codeCache) check(bin []byte) error {
	m, err := c.manifest(bin)
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Path) {
			return fmt.Errorf("compiled code: the path %q leaves the cache", f.Path)
		}
		got, err := describeFile(c.dir, f.Path)
		if err != nil {
			return err
		}
		if got != f {
			return fmt.Errorf("compiled code: %s has changed", f.Path)
		}
	}
	if len(m.Files) == 0 {
		return errors.New("compiled code: the manifest is empty")
	}
	return nil
}

func (c *codeCache) manifest(bin []byte) (m manifest, err error) {
	doc, err := os.ReadFile(c.manifestPath(bin))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(doc, &m)
}

func describeFile(dir, path string) (cachedFile, error) {
	b, err := os.ReadFile(filepath.Join(dir, path)) //nolint:gosec // the path was checked to be local
	if err != nil {
		return cachedFile{}, err
	}
	sum := sha256.Sum256(b)
	return cachedFile{Path: path, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// drop removes the code of bin.
func (c *codeCache) drop(bin []byte) error {
	m, _ := c.manifest(bin) // without one, adopt replaces the files
	var errs []error
	for _, f := range m.Files {
		if filepath.IsLocal(f.Path) {
			errs = append(errs, ignoreMissing(os.Remove(c.path(f.Path))))
		}
	}
	return errors.Join(append(errs, ignoreMissing(os.Remove(c.manifestPath(bin))))...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// adopt moves what a compiler left in tmp to where the runtime looks for it, and writes the manifest last.
func (c *codeCache) adopt(bin []byte, tmp string) error {
	var m manifest
	err := filepath.WalkDir(tmp, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("the compiler left %s, which is no plain file", d.Name())
		}
		rel, err := filepath.Rel(tmp, path)
		if err != nil {
			return err
		}
		f, err := describeFile(tmp, rel)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
		if err := os.MkdirAll(filepath.Dir(c.path(rel)), 0o700); err != nil {
			return err
		}
		return os.Rename(path, c.path(rel))
	})
	if err == nil && len(m.Files) == 0 {
		err = errors.New("the compiler left no code")
	}
	if err == nil {
		err = c.writeManifest(bin, m)
	}
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	return nil
}

func (c *codeCache) writeManifest(bin []byte, m manifest) error {
	doc, err := json.Marshal(m)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(c.path("tmp"), "manifest")
	if err != nil {
		return err
	}
	_, err = tmp.Write(doc)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), c.manifestPath(bin))
}
