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

// admitted is a module that was linted, metered and described: what a restart does not want to do again.
type admitted struct {
	bin         []byte   // the module; nil after a restart
	Key         cacheKey // of its code
	Shell       []byte   // what the runtime is given in its place, see wasmbin.Shell
	Bare        bool
	Data        []wasmbin.Data
	Globals     []wasmbin.Global
	Description []byte
}

// admittedVersion changes when the meaning of an admitted module does.
const admittedVersion = 4

// admissionKey returns the key of a module's admission. It holds for this build of the program and for these limits only:
// another build may lint or meter otherwise.
func (h *Host) admissionKey(digest [32]byte) (cacheKey, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("identify this program: %w", err)
	}
	info, err := os.Stat(exe)
	if err != nil {
		return "", fmt.Errorf("identify this program: %w", err)
	}
	id, err := json.Marshal([]any{
		admittedVersion, exe, info.Size(), info.ModTime().UnixNano(), h.cfg.Limits, h.cfg.MemoryLimitBytes, snapshotsWork,
	})
	if err != nil {
		return "", fmt.Errorf("identify this program: %w", err)
	}
	return keyOf([]byte("admitted"), id, digest[:]), nil
}

// recall returns a module's admission from the cache, or nil.
func (h *Host) recall(digest [32]byte) *admitted {
	if h.cache == nil || h.cache.own {
		return nil
	}
	key, err := h.admissionKey(digest)
	if err != nil {
		return nil
	}
	h.compiling.Lock()
	defer h.compiling.Unlock()
	if h.cache.check(key) != nil {
		return nil
	}
	b, err := os.ReadFile(h.cache.path("admitted", string(key)))
	if err != nil {
		return nil
	}
	var a admitted
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&a); err != nil {
		return nil
	}
	return &a
}

// remember keeps a module's admission. It is only a saving: a failure is logged.
func (h *Host) remember(digest [32]byte, a *admitted) {
	if h.cache == nil || h.cache.own {
		return
	}
	key, err := h.admissionKey(digest)
	if err == nil {
		h.compiling.Lock()
		defer h.compiling.Unlock()
		err = h.cache.provide(key, func(tmp string) error { return a.write(tmp, key) })
	}
	if err != nil {
		h.cfg.Logger.Warn("an admitted module is not kept", slog.Any("error", err))
	}
}

func (a *admitted) write(tmp string, key cacheKey) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(a); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(tmp, "admitted"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(tmp, "admitted", string(key)), b.Bytes(), 0o600)
}
