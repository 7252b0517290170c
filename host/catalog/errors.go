package catalog

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotFound says that the tenant has no such object, version or tag.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else changed the object meanwhile, again and again. Try again.
	ErrConflict = errors.New("changed by somebody else")
	// ErrInvalid says that an argument is malformed.
	ErrInvalid = errors.New("invalid argument")
	// ErrLimit says that an object has reached a limit of its size or number of versions.
	ErrLimit = errors.New("limit reached")
	// ErrCorrupt says that a stored record does not have its checksum or is of an unknown schema.
	ErrCorrupt = errors.New("corrupt record")
	// ErrClosed says that the catalog is closed.
	ErrClosed = errors.New("catalog is closed")
)

// InUseError says that an object cannot be deleted because current graph releases pin it.
type InUseError struct {
	Kind Kind
	Name string
	// By lists the graph releases, as graph@version, sorted.
	By []string
}

// Error implements error.
func (e *InUseError) Error() string {
	return fmt.Sprintf("%s %q is in use by %s", e.Kind, e.Name, strings.Join(e.By, ", "))
}
