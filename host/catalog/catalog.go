// Package catalog owns what is known about models, plugins, graphs, tenants and keys.
package catalog

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Config configures a [Catalog].
type Config struct {
	// Dir is the folder of the embedded store; it is made when absent. Unused with URL.
	Dir string
	// URL is the address of an external NATS with JetStream; "" starts one inside the process that listens nowhere.
	URL string
	// Replicas is the number of copies that an external cluster keeps. Default 1.
	Replicas int
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Catalog is the catalog. Its methods may overlap.
type Catalog struct{}

var _ tenant.Store = (*Catalog)(nil)

// Conn is the catalog's connection, for host/record.
type Conn struct {
	js jetstream.JetStream
}

// JetStream returns the handle. It is valid until the catalog is closed.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// Open opens the catalog, starting the embedded store unless cfg names another. It is ready when Open returns.
func Open(ctx context.Context, cfg Config) (*Catalog, error) { return nil, errors.ErrUnsupported }

// Close ends watches, disconnects and stops the embedded store. Acknowledged writes are on the disk already.
func (c *Catalog) Close(ctx context.Context) error { return nil }

// Conn returns the connection, for host/record only.
func (c *Catalog) Conn() *Conn { return nil }

// References returns the digests of all blobs that models and plugins of any tenant name, and those that current graph
// releases pin. What it does not name may be collected, once it is older than an upload needs to become an object.
func (c *Catalog) References(ctx context.Context) (map[blob.Digest]struct{}, error) {
	return nil, errors.ErrUnsupported
}

// Change says that an object changed. Read it to see how; it may have changed again since.
type Change struct {
	// Kind, Tenant and Name say which. All are "" when Synced is true.
	Kind   Kind
	Tenant tenant.ID
	Name   string
	// Deleted says that the object is gone.
	Deleted bool
	// Synced is set on one extra Change after all objects that existed when the watch began.
	Synced bool
}

// Watch yields every object of the given kinds (none: all), of every tenant, once, then a Change with Synced set, then
// every object that changes. It ends when ctx is done, when the catalog is closed, or after the first error it yields.
// Changes to one object that come in quick succession may be yielded as one; none is lost for good.
func (c *Catalog) Watch(ctx context.Context, kinds ...Kind) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) { yield(Change{}, errors.ErrUnsupported) }
}
