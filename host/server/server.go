// Package server is the composition root: it builds everything, owns the order in which things start and stop, and
// listens. Nothing imports it but the command.
//
// Goroutines: the listener's, the manager's that follows the catalog, one that collects garbage, one that ends what lost its
// right to run, and one that writes what tenants used; Run waits for all.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/background"
	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/usage"
)

// Server is a Tandem server that is built and listens, but does not answer before Run.
type Server struct {
	cfg      Config
	listener net.Listener
	handler  http.Handler
	control  *control.Manager
	engine   *engine.Engine
	garbage  *collector
	auth     *tenant.Authenticator
	access   <-chan struct{} // has a value when tenants or keys changed
	usage    *usage.Ledger
	// strangers are the connections that have shown no valid key.
	strangers *strangers
	admin     string
	closers   closers
}

// parts is what New builds, in the order in which it is built.
type parts struct {
	blobs   *blob.Dir
	catalog *catalog.Catalog
	records *record.Log
	usage   *usage.Ledger
	audit   *audit.Log
	auth    *tenant.Authenticator
	scraper metricsKey
	// background is nil where threads cannot be moved between scheduling classes.
	background *background.Scheduler
	sandbox    *sandbox.Host
	models     models
}

// New opens the data folder, starts what the server is made of, and listens. When it fails, what was started is stopped
// again. The caller calls Run.
func New(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, strangers: newStrangers(cfg.MaxUnauthenticated)}
	if err := s.build(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.StopTimeout)
		defer cancel()
		return nil, errors.Join(err, s.closers.close(stop))
	}
	return s, nil
}

func (s *Server) build(ctx context.Context) error {
	if err := s.lock(); err != nil {
		return err
	}
	p := &parts{}
	for _, step := range []func(context.Context, *parts) error{s.openStores, s.openBackground, s.openSandbox, s.openModels, s.assemble} {
		if err := step(ctx, p); err != nil {
			return err
		}
	}
	return s.listen(ctx)
}

// openStores opens what survives a restart, and makes the first tenant and key on the first start.
func (s *Server) openStores(ctx context.Context, p *parts) (err error) {
	if p.blobs, err = blob.OpenDir(ctx, blob.Config{Dir: filepath.Join(s.cfg.DataDir, "blobs")}); err != nil {
		return fmt.Errorf("open blobs: %w", err)
	}
	s.closers.add("blobs", func(context.Context) error { return p.blobs.Close() })
	p.catalog, err = catalog.Open(ctx, catalog.Config{Dir: filepath.Join(s.cfg.DataDir, "catalog"), URL: s.cfg.NATS, Logger: s.cfg.Logger})
	if err != nil {
		return fmt.Errorf("open catalog: %w", err)
	}
	s.closers.add("catalog", p.catalog.Close)
	if p.records, err = record.Open(ctx, p.catalog.Conn(), record.Config{Logger: s.cfg.Logger}); err != nil {
		return fmt.Errorf("open records: %w", err)
	}
	s.closers.add("records", p.records.Close)
	if p.audit, err = audit.Open(ctx, p.catalog.Conn(), audit.Config{}); err != nil {
		return err
	}
	name, err := serverName(s.cfg.DataDir)
	if err != nil {
		return err
	}
	if p.usage, err = usage.Open(ctx, p.catalog.Conn(), usage.Config{Server: name, Logger: s.cfg.Logger}); err != nil {
		return err
	}
	if s.admin, err = tenant.Bootstrap(ctx, p.catalog, s.cfg.DataDir); err != nil {
		return fmt.Errorf("make the first key: %w", err)
	}
	if p.scraper, err = openMetricsKey(s.cfg.DataDir); err != nil {
		return err
	}
	p.auth = tenant.NewAuthenticator(tenant.AuthConfig{Store: p.catalog, Tokens: s.cfg.Tokens})
	s.access = p.catalog.AccessChanges()
	return nil
}

// lock makes the data folder and keeps a second server out of it.
func (s *Server) lock() error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	unlock, err := lockDir(s.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("data folder %s: %w", s.cfg.DataDir, err)
	}
	s.closers.add("lock", func(context.Context) error { return unlock() })
	return nil
}

func (s *Server) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	l = strangerListener{l, s.strangers}
	if s.cfg.TLS.enabled() {
		certs, err := newCertificates(s.cfg.TLS, s.cfg.Logger)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		l = tls.NewListener(l, certs.serverConfig())
	}
	s.listener = l
	s.closers.add("endpoint", func(context.Context) error { return os.Remove(s.endpointFile()) })
	return os.WriteFile(s.endpointFile(), []byte(s.URL()+"\n"), 0o600)
}

// EndpointFile is the name, inside the data folder, of the file that holds the server's URL while it runs.
const EndpointFile = "endpoint"

func (s *Server) endpointFile() string { return filepath.Join(s.cfg.DataDir, EndpointFile) }

// URL returns where the server listens, for instance "http://127.0.0.1:7341".
func (s *Server) URL() string {
	scheme := "http"
	if s.cfg.TLS.enabled() {
		scheme = "https"
	}
	return scheme + "://" + s.listener.Addr().String()
}

// AdminKeyFile returns the path of the file with the first admin key when this start made it, else "".
func (s *Server) AdminKeyFile() string { return s.admin }

// What HTTP/2 clients may send: frames of frameBytes, and windowBytes that no call has read yet, all calls of a connection
// together. The server holds as much for each connection at most, and strangerBytes for one that has shown no valid key; but a frame
// has its memory set aside when it is announced. Larger frames are hardly faster: those of 1 MiB took 0.89 and 1.02 of the time of these
// for requests of 16 and 60 MiB, those of 64 KiB 1.09 and 1.23, over the loopback and without what is done with a request.
const (
	frameBytes  = 128 << 10
	windowBytes = 1 << 20
)

// Run answers calls until ctx ends, then stops: no new calls, running ones and what runs in their shadows may finish within
// Config.StopTimeout, then everything closes in the reverse order of its start. It returns nil when ctx ended it and all stopped in time.
func (s *Server) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(!s.cfg.TLS.enabled())
	hs := &http.Server{
		Handler: countCalls(s.handler), ConnContext: withStranger, Protocols: p, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		HTTP2:          &http.HTTP2Config{MaxReadFrameSize: frameBytes, MaxReceiveBufferPerStream: windowBytes, MaxReceiveBufferPerConnection: windowBytes},
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
	group.Go(func() error {
		if err := hs.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error { return s.control.Run(running) })
	group.Go(func() error { return s.garbage.run(running) })
	group.Go(func() error { return s.followAccess(running) })
	group.Go(func() error { return s.tidier().run(running) })
	// Counts until the last call has ended.
	counting, stopCounting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCounting()
	group.Go(func() error { return s.usage.Run(counting) })
	<-running.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
	defer cancel()
	err := hs.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("calls were cut off after %v", s.cfg.StopTimeout), hs.Close())
	}
	s.engine.Close(stop)
	s.control.Close()
	stopCounting()
	return errors.Join(err, group.Wait(), s.closers.close(stop))
}

// closers holds what was started, in order.
type closers struct {
	names []string
	fs    []func(context.Context) error
}

func (c *closers) add(name string, f func(context.Context) error) {
	c.names, c.fs = append(c.names, name), append(c.fs, f)
}

// close stops everything in the reverse order and returns all errors.
func (c *closers) close(ctx context.Context) error {
	var errs []error
	for i, f := range slices.Backward(c.fs) {
		if err := f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.names[i], err))
		}
	}
	c.names, c.fs = nil, nil
	return errors.Join(errs...)
}
