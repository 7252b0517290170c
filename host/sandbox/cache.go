package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// codeCache keeps compiled code in a folder:
//
//	wazero-VERSION-ARCH-OS/NAME   the runtime's files: machine code
//	admitted/KEY                  admitted modules, see admitted
//	said/KEY                      what a module said about itself to a tenant
//	manifest/KEY.json             for each entry its files and their checksums; touched when used
//	tmp/                          what is being made; emptied at start
//
// The key of machine code is the SHA-256 of the metered module. What is in the cache is used only when a manifest vouches
// for it; a file that is missing or changed is made again. When the files exceed limit, the entries that were not used for
// longest go. The folder must not be writable for others: who can write a manifest can run code here.
//
// It is not safe for concurrent use but for workspace; the host holds its lock of codes.
type codeCache struct {
	dir    string
	own    bool // made by this host, removed with it
	limit  int64
	size   int64 // of all entries
	logger *slog.Logger
}

// manifest lists the files of one entry.
type manifest struct {
	Files []cachedFile `json:"files"`
	// Took is how long a module took to load when this code was made, without waits for others, in nanoseconds; 0 is not known yet. Only
	// code has it.
	Took time.Duration `json:"took,omitempty"`
}

// cachedFile is one file of the runtime's, by its path in the cache.
type cachedFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	CRC32C uint32 `json:"crc32c"` // finds damage, which is all that it has to; hashes that stop forgers take 15 ms for Go code
}

// errCacheOpen says that a cache folder cannot be trusted.
var errCacheOpen = errors.New("the cache folder must belong to this user and be closed to others (mode 0700): its content is executed")

// openCache returns the cache in dir, or in a temporary folder when dir is "".
func openCache(dir string, limit int64, logger *slog.Logger) (c *codeCache, err error) {
	c = &codeCache{dir: dir, limit: limit, logger: logger}
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
	return c, c.prune()
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

// cacheKey names an entry.
type cacheKey string

// keyOf returns the key for content.
func keyOf(content ...[]byte) cacheKey {
	h := sha256.New()
	for _, b := range content {
		h.Write(b)
	}
	return cacheKey(hex.EncodeToString(h.Sum(nil)))
}

func (c *codeCache) manifestPath(key cacheKey) string { return c.path("manifest", string(key)+".json") }

// provide makes sure that there is a whole entry for key: if there is none, produce makes its files in an empty folder.
func (c *codeCache) provide(key cacheKey, produce func(tmp string) error) error {
	if c.whole(key) {
		return nil
	}
	tmp, err := c.workspace()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // emptied at the next start at the latest
	if err := produce(tmp); err != nil {
		return err
	}
	return c.replace(key, tmp)
}

// whole reports whether there is a whole entry for key, and marks it as used.
func (c *codeCache) whole(key cacheKey) bool {
	err := c.check(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.logger.Warn("a damaged cache entry is made again", slog.Any("error", err))
	}
	return err == nil
}

// workspace returns an empty folder for the files of an entry. The caller removes it. It needs no lock.
func (c *codeCache) workspace() (string, error) {
	tmp, err := os.MkdirTemp(c.path("tmp"), "")
	if err != nil {
		return "", fmt.Errorf("compile: %w", err)
	}
	return tmp, nil
}

// replace moves the files in tmp to an entry, in the place of what it had, and removes others until all fit.
func (c *codeCache) replace(key cacheKey, tmp string) error {
	if err := c.drop(key); err != nil {
		return err
	}
	if err := c.adopt(key, tmp); err != nil {
		return fmt.Errorf("keep in the cache: %w", err)
	}
	return c.prune()
}

// check compares the files of an entry with its manifest, and marks it as used.
func (c *codeCache) check(key cacheKey) error {
	m, err := c.manifest(key)
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Path) {
			return fmt.Errorf("cache entry %s: the path %q leaves the cache", key, f.Path)
		}
		got, err := describeFile(c.dir, f.Path)
		if err != nil {
			return err
		}
		if got != f {
			return fmt.Errorf("cache entry %s: %s has changed", key, f.Path)
		}
	}
	if len(m.Files) == 0 {
		return fmt.Errorf("cache entry %s: the manifest is empty", key)
	}
	now := time.Now()
	return os.Chtimes(c.manifestPath(key), now, now)
}

func (c *codeCache) manifest(key cacheKey) (m manifest, err error) {
	doc, err := os.ReadFile(c.manifestPath(key))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(doc, &m)
}

func describeFile(dir, path string) (cachedFile, error) {
	f, err := os.Open(filepath.Join(dir, path)) //nolint:gosec // the path was checked to be local
	if err != nil {
		return cachedFile{}, err
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 64<<10))
	return cachedFile{Path: path, Size: n, CRC32C: h.Sum32()}, errors.Join(err, f.Close())
}

// runtimeFiles describes the runtime's files, so that it shows whether the runtime wrote any.
func (c *codeCache) runtimeFiles() (all []string, err error) {
	folders, err := filepath.Glob(c.path("wazero-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range folders {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			all = append(all, fmt.Sprint(e.Name(), info.Size(), info.ModTime().UnixNano()))
		}
	}
	return all, nil
}

// drop removes an entry.
func (c *codeCache) drop(key cacheKey) error {
	m, _ := c.manifest(key) // without one, adopt replaces the files
	var errs []error
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Path) {
			continue
		}
		if info, err := os.Lstat(c.path(f.Path)); err == nil && info.IsDir() { // the manifest is damaged
			continue
		}
		errs = append(errs, ignoreMissing(os.Remove(c.path(f.Path))))
		c.size -= f.Size
	}
	return errors.Join(append(errs, ignoreMissing(os.Remove(c.manifestPath(key))))...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// adopt moves files from tmp to the same places in the cache, and writes the manifest last.
func (c *codeCache) adopt(key cacheKey, tmp string) error {
	var m manifest
	err := filepath.WalkDir(tmp, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no plain file", d.Name())
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
		c.size += f.Size
		if err := os.MkdirAll(filepath.Dir(c.path(rel)), 0o700); err != nil {
			return err
		}
		return os.Rename(path, c.path(rel)) //nolint:gosec // the folder is this process's own, made for one compilation
	})
	if err == nil && len(m.Files) == 0 {
		err = errors.New("there is nothing")
	}
	if err != nil {
		return err
	}
	return c.writeManifest(key, m)
}

func (c *codeCache) writeManifest(key cacheKey, m manifest) error {
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
	return os.Rename(tmp.Name(), c.manifestPath(key))
}

// took returns how long the module took to load whose code key is, 0 when that is not known.
func (c *codeCache) took(key cacheKey) time.Duration {
	m, err := c.manifest(key)
	if err != nil {
		return 0
	}
	return max(m.Took, 0)
}

// note keeps with code how long its module took to load.
func (c *codeCache) note(key cacheKey, took time.Duration) error {
	m, err := c.manifest(key)
	if err != nil {
		return fmt.Errorf("note how long a module took: %w", err)
	}
	m.Took = took
	return c.writeManifest(key, m)
}

// prune removes entries until the rest fits the limit. At the first time it counts what is there.
func (c *codeCache) prune() error {
	if c.size > 0 && c.size <= c.limit {
		return nil
	}
	entries, err := os.ReadDir(c.path("manifest"))
	if err != nil {
		return fmt.Errorf("prune cache: %w", err)
	}
	type entry struct {
		key  cacheKey
		used time.Time
	}
	var all []entry
	c.size = 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		key := cacheKey(strings.TrimSuffix(e.Name(), ".json"))
		all = append(all, entry{key, info.ModTime()})
		m, _ := c.manifest(key) // an unreadable one counts nothing and is dropped like others
		for _, f := range m.Files {
			c.size += f.Size
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
	for ; c.size > c.limit && len(all) > 1; all = all[1:] { // the newest is wanted right now
		if err := c.drop(all[0].key); err != nil {
			return fmt.Errorf("prune cache: %w", err)
		}
	}
	return nil
}
