package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// maxPayload is the largest message that the embedded store takes; the largest record is half of it.
	maxPayload = 8 << 20
	// unlimited is the store's size: what is kept is limited stream by stream, and by [Config.ReserveBytes].
	unlimited = 1 << 60
	// startPatience is how long a start may take, with all streams to be read back.
	startPatience = 2 * time.Minute
)

// startEmbedded starts the store inside this process. It listens nowhere and syncs every write that it acknowledges.
func (c *Catalog) startEmbedded(ctx context.Context) error {
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(c.cfg.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- the data folder
	if err != nil {
		return err
	}
	if err := lockFile(lock); err != nil {
		return errors.Join(fmt.Errorf("another process has %s: %w", c.cfg.Dir, err), lock.Close())
	}
	c.lock = lock
	srv, err := server.NewServer(&server.Options{
		ServerName:             "tandem",
		DontListen:             true,
		JetStream:              true,
		StoreDir:               c.cfg.Dir,
		SyncAlways:             true,
		MaxPayload:             maxPayload,
		JetStreamMaxStore:      unlimited,
		JetStreamMaxMemory:     64 << 20, // all streams are on the disk
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("make the embedded store: %w", err)
	}
	srv.SetLoggerV2(&logger{log: c.cfg.Logger}, false, false, false)
	c.embed = srv
	srv.Start()
	patience := startPatience
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline))
	}
	if !srv.ReadyForConnections(patience) || !srv.JetStreamEnabled() {
		return errors.New("the embedded store did not start (its log says why)")
	}
	return nil
}

// logger passes what the embedded store has to say on, leaving out its chatter.
type logger struct{ log *slog.Logger }

var _ server.Logger = (*logger)(nil)

func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn("embedded store", slog.String("detail", fmt.Sprintf(format, v...)))
}

func (l *logger) Errorf(format string, v ...any) {
	l.log.Error("embedded store", slog.String("detail", fmt.Sprintf(format, v...)))
}

func (l *logger) Fatalf(format string, v ...any) { l.Errorf(format, v...) }
func (l *logger) Noticef(string, ...any)         {}
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
