package sandbox

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// FuzzManifest has a manifest in the cache of compiled code that is damaged or made up. It vouches for nothing that is not there as
// it says, an entry is made again in its place, and files outside of the cache stay as they are.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"files":[{"path":"code/x","size":4,"crc32c":3633523372}]}`))
	f.Add([]byte(`{"files":[{"path":"../outside","size":4,"crc32c":3633523372}]}`))
	f.Add([]byte(`{"files":[{"path":"/etc/passwd"}]}`))
	f.Add([]byte(`{"files":[{"path":"manifest/key.json","size":9223372036854775807},{"path":"","size":-1},{"path":"."}]}`))
	f.Add([]byte(`{"files":[{"path":"tmp"},{"path":"manifest"}]}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		dir := t.TempDir()
		outside := filepath.Join(dir, "outside")
		c, err := openCache(filepath.Join(dir, "cache"), 1<<20, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for path, content := range map[string]string{outside: "mine", c.path("code", "x"): "code", c.manifestPath("key"): string(doc)} {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		trusted := c.check("key") == nil
		if trusted {
			m, err := c.manifest("key")
			if err != nil || len(m.Files) == 0 {
				t.Fatalf("a manifest of %d files vouches for something: %v", len(m.Files), err)
			}
		}
		made := false
		err = c.provide("key", func(tmp string) error {
			made = true
			return os.WriteFile(filepath.Join(tmp, "fresh"), []byte("code"), 0o600)
		})
		if err != nil {
			t.Errorf("the entry cannot be made again: %v", err)
		}
		if made == trusted {
			t.Errorf("trusted %v, made again %v", trusted, made)
		}
		if b, err := os.ReadFile(outside); err != nil || string(b) != "mine" {
			t.Errorf("a file outside is %q, %v", b, err)
		}
	})
}
