package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MetricsKeyFile is the name, inside the data folder, of the file that holds the key for the metrics.
const MetricsKeyFile = "metrics.key"

// metricsPrefix begins a metricsKey, so that it is taken for no other key.
const metricsPrefix = "tdmm_"

// metricsKey opens the metrics and nothing else, so that what collects them needs no admin's key.
type metricsKey string

// openMetricsKey reads the key from the data folder, and makes one on the first start. The file is its owner's only.
func openMetricsKey(dir string) (metricsKey, error) {
	path := filepath.Join(dir, MetricsKeyFile)
	data, err := os.ReadFile(path) // #nosec G304 -- in the data folder
	if errors.Is(err, fs.ErrNotExist) {
		return newMetricsKey(path)
	}
	if err != nil {
		return "", fmt.Errorf("key for the metrics: %w", err)
	}
	key := strings.TrimSpace(string(data))
	if secret, ok := strings.CutPrefix(key, metricsPrefix); !ok || len(secret) < len(rand.Text()) {
		return "", fmt.Errorf("%s holds no key for the metrics; remove it to get a new one", path)
	}
	return metricsKey(key), nil
}

// newMetricsKey makes a key and writes it, whole or not at all.
func newMetricsKey(path string) (metricsKey, error) {
	key := metricsPrefix + rand.Text()
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("key for the metrics: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("key for the metrics: %w", err)
	}
	return metricsKey(key), nil
}

// matches reports whether an Authorization header bears the key, in a time that does not tell how much of it is right.
func (k metricsKey) matches(header string) bool {
	want, got := sha256.Sum256([]byte("Bearer "+string(k))), sha256.Sum256([]byte(header))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
