package tenant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// AdminKeyFile is the name, inside the data folder, of the file that holds the first admin key.
const AdminKeyFile = "admin.key"

// Bootstrap makes the [Default] tenant and its first admin key on a server's first start, and does nothing on any other.
// It returns the path of the file that has the plain key, "" when it did nothing. A file that is there already provides
// the key.
//
// The order makes it safe to be killed at any moment: the file is written first, the tenant, whose presence means that
// all is done, last. So a key that was revoked later never comes back, whatever becomes of the file.
func Bootstrap(ctx context.Context, store Store, dir string) (string, error) {
	_, err := store.GetTenant(ctx, Default)
	if err == nil {
		return "", nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", fmt.Errorf("look up tenant %s: %w", Default, err)
	}
	path := filepath.Join(dir, AdminKeyFile)
	now := time.Now()
	key, err := adminKey(path, KeyParams{Tenant: Default, Name: "admin", Role: RoleAdmin, Now: now})
	if err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	if err := store.PutKey(ctx, key); err != nil && !errors.Is(err, ErrExists) {
		return "", fmt.Errorf("store admin key: %w", err)
	}
	if err := store.PutTenant(ctx, Tenant{ID: Default, CreatedAt: now.UTC()}); err != nil {
		return "", fmt.Errorf("store tenant %s: %w", Default, err)
	}
	return path, nil
}

// adminKey returns the key that the file has, or makes one and writes the file.
func adminKey(path string, p KeyParams) (Key, error) {
	plain, err := os.ReadFile(path) // #nosec G304 -- in the data folder
	if errors.Is(err, fs.ErrNotExist) {
		key, plain := NewKey(p)
		return key, writeSecret(path, plain+"\n")
	}
	if err != nil {
		return Key{}, err
	}
	id, secret, ok := ParseKey(strings.TrimSpace(string(plain)))
	if !ok {
		return Key{}, fmt.Errorf("%s holds no key; remove it to get a new one", path)
	}
	return keyOf(p, id, secret), nil
}

// writeSecret writes a file that only its owner can read, whole or not at all.
func writeSecret(path, text string) error {
	dir := filepath.Dir(path)
	tmp := path + ".tmp"                                                  // always the same, so that an interrupted start leaves at most this one
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- in the data folder
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- the data folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
