package tenant

import (
	"context"
	"errors"
)

// AdminKeyFile is the name, inside the data folder, of the file that holds the first admin key.
const AdminKeyFile = "admin.key"

// Bootstrap makes the [Default] tenant and its first admin key on a server's first start, and does nothing on any other.
// It returns the path of the file that it wrote the plain key to, "" when it did nothing.
func Bootstrap(ctx context.Context, store Store, dir string) (string, error) {
	return "", errors.ErrUnsupported
}
