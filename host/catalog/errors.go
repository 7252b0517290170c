package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrNotFound says that the tenant has no such object, version or tag.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else kept changing the object meanwhile, or is publishing a graph that needs what is
	// to be deleted. Try again.
	ErrConflict = errors.New("changed by somebody else")
	// ErrInvalid says that an argument is malformed.
	ErrInvalid = errors.New("invalid argument")
	// ErrLimit says that an object has reached a limit of its size or number of versions.
	ErrLimit = errors.New("limit reached")
	// ErrNotMoved says that a release was stored, but that its graph has not moved on to it.
	ErrNotMoved = errors.New("what was current stays current")
	// ErrCorrupt says that a stored record does not have its checksum or is of an unknown schema.
	ErrCorrupt = errors.New("corrupt record")
	// ErrNoSpace says that the disk is nearly full, so nothing is written any more. Deleting blobs makes room.
	ErrNoSpace = errors.New("no space left for the catalog")
	// ErrUnavailable says that the store does not answer. A write may have happened all the same.
	ErrUnavailable = errors.New("catalog store is unavailable")
	// ErrClosed says that the catalog is closed.
	ErrClosed = errors.New("catalog is closed")
)

// InUseError says that an object cannot be deleted because live graph releases pin it.
type InUseError struct {
	Kind Kind
	Name string
	// By lists the graph releases, as graph@version, sorted; for a release of a graph also what makes it live, such as
	// "tag prod".
	By []string
}

// Error implements error.
func (e *InUseError) Error() string {
	return fmt.Sprintf("%s %q is in use by %s", e.Kind, e.Name, strings.Join(e.By, ", "))
}

func newInUse(kind Kind, name string, by []string) *InUseError {
	slices.Sort(by)
	return &InUseError{Kind: kind, Name: name, By: by}
}

// translate turns an error of the store into one of this package, and leaves all others alone.
func translate(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubscription):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrMsgNotFound):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch), errors.Is(err, jetstream.ErrKeyExists):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrLimit, err)
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
