// Package catalog owns what is known about models, plugins, graphs, their releases, tenants and keys: everything but the
// blobs themselves. It is the only importer of the embedded NATS server, and with host/record of the NATS client.
//
// All of it lives in one JetStream key-value bucket, one small record per aggregate: a model or plugin with all its
// versions and tags, a graph with the list of its releases. Records are written by compare-and-set on their revision and
// carry a schema version and a checksum. A release is a record of its own that never changes; publishing writes it and
// then moves the graph's record on to it, so no write ever has to change two records at once. An acknowledged write is on
// the disk.
//
// A deletion and a publication that needs what is to be deleted cannot both succeed, although they touch different
// records: see lease.
//
// A Catalog runs one goroutine, from Open to Close, that keeps tenants and keys in memory; a [Catalog.Watch] runs one
// while it is ranged over. Locks are leaves: nothing is called while one is held.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Config configures a [Catalog].
type Config struct {
	// Dir is the folder of the embedded store; it is made when absent. Only one Catalog at a time may have it. Unused with
	// URL.
	Dir string
	// URL is the address of an external NATS with JetStream; "" starts one inside the process that listens nowhere. The
	// external one must sync every write (sync_interval: always), or an acknowledged write may be lost at a power failure.
	URL string
	// Replicas is the number of copies that an external cluster keeps. Default 1.
	Replicas int
	// ReserveBytes is the free disk space below which nothing is written any more: a JetStream that meets a full disk stops
	// altogether. Default 16 MiB; negative is none. Unused with URL.
	ReserveBytes int64
	// Relist is the time after which a watch reads everything again, in case that it missed something. Default 5 minutes.
	Relist time.Duration
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = 16 << 20
	}
	if c.Relist == 0 {
		c.Relist = 5 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate returns every fault of c at once.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" && c.URL == "" {
		errs = append(errs, errors.New("catalog: neither Dir nor URL"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("catalog: no Logger"))
	}
	if c.Replicas < 0 || c.Replicas > 1 && c.URL == "" {
		errs = append(errs, fmt.Errorf("catalog: %d replicas (the embedded store has one)", c.Replicas))
	}
	if c.Relist < 0 {
		errs = append(errs, errors.New("catalog: Relist is negative"))
	}
	return errors.Join(errs...)
}

// Catalog is the catalog. Its methods may overlap.
//
// Every method that reads or writes may return, beside what it documents, [ErrUnavailable], [ErrClosed], [ErrCorrupt] and
// the context's error; those that write also [ErrNoSpace].
type Catalog struct {
	cfg    Config
	lock   *os.File       // nil with URL
	embed  *server.Server // nil with URL
	nc     *nats.Conn
	conn   *Conn
	bucket *bucket
	mirror *mirror

	// closed is done when Close begins; it also ends what runs from Open to Close.
	closed context.Context //nolint:containedctx // the root of what lives as long as the catalog
	stop   func()
	done   sync.WaitGroup
	once   sync.Once
	err    error
}

var _ tenant.Store = (*Catalog)(nil)

// Conn is the catalog's connection, for host/record.
type Conn struct {
	js       jetstream.JetStream
	dir      string
	reserve  int64
	replicas int
}

// JetStream returns the handle. It is valid until the catalog is closed.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// Replicas returns the number of copies to keep of a stream.
func (c *Conn) Replicas() int { return c.replicas }

// CheckSpace returns [ErrNoSpace] when writing n bytes would leave less free disk space than is reserved.
func (c *Conn) CheckSpace(n int) error {
	if c.dir == "" || c.reserve < 0 {
		return nil
	}
	free, err := blob.OS().Free(c.dir)
	if err != nil {
		return fmt.Errorf("free disk space: %w", err)
	}
	if free < c.reserve+int64(n) {
		return fmt.Errorf("%w: %d bytes free, %d reserved", ErrNoSpace, free, c.reserve)
	}
	return nil
}

// Open opens the catalog, starting the embedded store unless cfg names another. It is ready when Open returns.
func Open(ctx context.Context, cfg Config) (*Catalog, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Catalog{cfg: cfg.withDefaults()}
	// The catalog outlives the call, but keeps what ctx carries.
	c.closed, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog: %w", err), c.Close(ctx))
	}
	return c, nil
}

func (c *Catalog) open(ctx context.Context) error {
	reconnected := newSignal()
	if err := c.connect(ctx, reconnected); err != nil {
		return err
	}
	js, err := jetstream.New(c.nc)
	if err != nil {
		return err
	}
	c.conn = &Conn{js: js, reserve: c.cfg.ReserveBytes, replicas: c.cfg.Replicas}
	if c.cfg.URL == "" {
		c.conn.dir = c.cfg.Dir
	}
	if c.bucket, err = openBucket(ctx, c.conn, c.cfg, reconnected); err != nil {
		return err
	}
	c.mirror = newMirror(c.bucket, c.nc.IsConnected)
	c.done.Go(func() { c.mirror.run(c.closed) })
	return c.mirror.wait(ctx)
}

// connect starts the embedded store, or not, and connects.
func (c *Catalog) connect(ctx context.Context, reconnected *signal) error {
	opts := []nats.Option{
		nats.Name("tandem"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectHandler(func(*nats.Conn) { reconnected.raise() }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { reconnected.raise() }),
	}
	if c.cfg.URL == "" {
		if err := c.startEmbedded(ctx); err != nil {
			return err
		}
		opts = append(opts, nats.InProcessServer(c.embed))
	}
	var err error
	if c.nc, err = nats.Connect(c.cfg.URL, opts...); err != nil {
		return fmt.Errorf("connect to the store: %w", err)
	}
	return nil
}

// Close ends watches, disconnects and stops the embedded store. Acknowledged writes are on the disk already.
func (c *Catalog) Close(context.Context) error {
	c.once.Do(func() {
		c.stop()
		c.done.Wait()
		if c.nc != nil {
			c.nc.Close()
		}
		if c.embed != nil {
			c.embed.Shutdown()
			c.embed.WaitForShutdown()
		}
		if c.lock != nil {
			c.err = c.lock.Close()
		}
	})
	return c.err
}

// Conn returns the connection, for host/record only.
func (c *Catalog) Conn() *Conn { return c.conn }
