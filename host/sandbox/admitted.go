package sandbox

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tandem-serve/tandem/host/sandbox/wasmbin"
)

// admitted is a module that was linted and metered: what a restart does not want to do again.
type admitted struct {
	bin     []byte   // the module; nil after a restart
	Key     cacheKey // of its code
	Shell   []byte   // what the runtime is given in its place, see wasmbin.Shell
	Bare    bool
	Data    []wasmbin.Data
	Globals []wasmbin.Global
}

// admittedVersion changes when the meaning of an admitted module does.
const admittedVersion = 5

// Folders of the cache for what is kept beside code.
const (
	folderAdmitted = "admitted"
	folderSaid     = "said"
)

// keyFor returns the key of what is kept in a folder of a module, and of a tenant. It holds for this build of the program and for these
// limits only: another build may lint or meter otherwise.
func (h *Host) keyFor(folder string, digest [32]byte, tenant string) (cacheKey, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("identify this program: %w", err)
	}
	info, err := os.Stat(exe)
	if err != nil {
		return "", fmt.Errorf("identify this program: %w", err)
	}
	id, err := json.Marshal([]any{
		admittedVersion, folder, exe, info.Size(), info.ModTime().UnixNano(), h.cfg.Limits, h.cfg.MemoryLimitBytes, snapshotsWork, tenant,
	})
	if err != nil {
		return "", fmt.Errorf("identify this program: %w", err)
	}
	return keyOf(id, digest[:]), nil
}

// recall returns a module's admission from the cache, or nil.
func (h *Host) recall(digest [32]byte) *admitted {
	doc := h.recallFrom(folderAdmitted, digest, "")
	if doc == nil {
		return nil
	}
	var a admitted
	if err := gob.NewDecoder(bytes.NewReader(doc)).Decode(&a); err != nil {
		return nil
	}
	return &a
}

// remember keeps a module's admission. It is only a saving: a failure is logged.
func (h *Host) remember(digest [32]byte, a *admitted) {
	if !h.remembers() {
		return
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(a); err != nil {
		h.cfg.Logger.Warn("an admitted module is not kept", slog.Any("error", err))
		return
	}
	h.rememberIn(folderAdmitted, digest, "", b.Bytes())
}

// remembers reports whether anything is kept over a restart.
func (h *Host) remembers() bool { return h.cache != nil && !h.cache.own }

// recallFrom returns what is kept in a folder of a module, and of a tenant, or nil.
func (h *Host) recallFrom(folder string, digest [32]byte, tenant string) []byte {
	if !h.remembers() {
		return nil
	}
	key, err := h.keyFor(folder, digest, tenant)
	if err != nil {
		return nil
	}
	h.codes.Lock()
	defer h.codes.Unlock()
	if h.cache.check(key) != nil {
		return nil
	}
	doc, err := os.ReadFile(h.cache.path(folder, string(key)))
	if err != nil {
		return nil
	}
	return doc
}

// rememberIn keeps a document in a folder. It is only a saving: a failure is logged.
func (h *Host) rememberIn(folder string, digest [32]byte, tenant string, doc []byte) {
	if !h.remembers() {
		return
	}
	key, err := h.keyFor(folder, digest, tenant)
	if err == nil {
		h.codes.Lock()
		defer h.codes.Unlock()
		err = h.cache.provide(key, func(tmp string) error {
			if err := os.Mkdir(filepath.Join(tmp, folder), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(tmp, folder, string(key)), doc, 0o600)
		})
	}
	if err != nil {
		h.cfg.Logger.Warn("what is known of a module is not kept", slog.Any("error", err))
	}
}
