package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// learned is what this machine knows of a model from having run it. It is worth keeping and no loss when it is gone.
type learned struct {
	Cost     batch.Cost    `json:"cost"`
	Measured plan.Measured `json:"measured"`
	// MemoryBytes is what the loaded model was seen to take; 0: not known.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
}

// Bounds of what is kept.
const (
	maxLearned      = 2000 // models; those written longest ago go first
	maxLearnedBytes = 256 << 10
)

// memory keeps what was learned in one file for each model, in a folder; without a folder it keeps nothing. Its methods may
// overlap.
type memory struct {
	dir string
	log *slog.Logger
	mu  sync.Mutex // mu guards the files' number, and keeps two writers of one file apart
}

// file names what was learned of a model served in one way. Tenants come first, so that a tenant's can be removed.
func (m *memory) file(key modelKey) string {
	sum := sha256.Sum256([]byte(string(key.digest) + "\n" + key.options))
	return filepath.Join(m.dir, string(key.tenant)+"~"+hex.EncodeToString(sum[:16])+".json")
}

// read returns what is kept; nothing when there is nothing, or nothing that can be read.
func (m *memory) read(ctx context.Context, key modelKey) learned {
	var l learned
	if m.dir == "" {
		return l
	}
	text, err := os.ReadFile(m.file(key))
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err == nil && l.MemoryBytes < 0 {
		err = fmt.Errorf("it takes %d bytes", l.MemoryBytes)
	}
	if err != nil {
		if !os.IsNotExist(err) {
			m.log.WarnContext(ctx, "what was learned of a model cannot be read", slog.Any("error", err))
		}
		return learned{}
	}
	return l
}

// write keeps l in place of what was kept. A crash leaves the old one or the new one.
func (m *memory) write(key modelKey, l learned) error {
	if m.dir == "" {
		return nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("keep what was learned: %w", err)
	}
	if len(text) > maxLearnedBytes {
		return fmt.Errorf("keep what was learned: %d bytes", len(text))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("keep what was learned: %w", err)
	}
	path := m.file(key)
	temp := path + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return fmt.Errorf("keep what was learned: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("keep what was learned: %w", err)
	}
	return m.pruneLocked()
}

// pruneLocked removes the files written longest ago while there are too many.
func (m *memory) pruneLocked() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil || len(entries) <= maxLearned {
		return err
	}
	type aged struct {
		name string
		at   int64
	}
	var files []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			files = append(files, aged{e.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(files, func(a, b aged) int { return cmp.Compare(a.at, b.at) })
	for _, f := range files[:max(0, len(files)-maxLearned)] {
		if err := os.Remove(filepath.Join(m.dir, f.name)); err != nil {
			return err
		}
	}
	return nil
}

// forget removes what was learned of a tenant's models.
func (m *memory) forget(t tenant.ID) error {
	if m.dir == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entries, err := os.ReadDir(m.dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), string(t)+"~") {
			if err := os.Remove(filepath.Join(m.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return err
}
