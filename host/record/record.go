// Package record owns comparison records and request samples: it appends them to one JetStream stream per tenant, with
// limits of age and size, and lists them.
//
// A record is durable when the append is acknowledged, never before. Appends of all callers that come while the disk is
// busy are written together, as one message per tenant and stream, with one sync, so that records cost the disk little
// and callers no lock: a request starts its appends where they come up, runs on, and waits for all of them just before it
// answers. Then whoever has an answer can rely on its records being listed, also after a crash. A record whose append was
// not acknowledged may be there or not.
//
// A Log runs one goroutine, from Open to Close.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Record is one record.
type Record struct {
	// ID is set by [Log.List]: unique within the tenant and ascending in the order of writing.
	ID string `json:"-"`
	// Stream is the name that the plugin or compare node gave; see tenant.CheckName.
	Stream string `json:"stream"`
	// Graph, Release and Node say what made it, RequestID for which call. None is required.
	Graph     string `json:"graph,omitempty"`
	Release   int    `json:"release,omitempty"`
	Node      string `json:"node,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// At is when it was made, by the server's clock. The zero time is now.
	At time.Time `json:"at"`
	// Doc is one JSON document.
	Doc json.RawMessage `json:"doc"`
}

var (
	// ErrInvalid says that an argument is malformed.
	ErrInvalid = errors.New("invalid argument")
	// ErrTooLarge says that a document is over its limit.
	ErrTooLarge = errors.New("record is too large")
	// ErrUnavailable says that the store did not acknowledge. The record may be there all the same.
	ErrUnavailable = errors.New("record store is unavailable")
	// ErrNoSpace says that the disk is nearly full, so nothing is written any more.
	ErrNoSpace = catalog.ErrNoSpace
	// ErrClosed says that the log is closed.
	ErrClosed = errors.New("record log is closed")
)

// Config configures a [Log].
type Config struct {
	// MaxAge is how long a record is kept. Default 30 days; negative is for ever.
	MaxAge time.Duration
	// MaxBytes is the most bytes kept per tenant; the oldest records go first. Default 256 MiB.
	MaxBytes int64
	// MaxDocBytes is the largest document. Default 256 KiB, at most 1 MiB.
	MaxDocBytes int
	// MaxQueued is the number of records, over all tenants, that wait to be written; when as many wait, an append waits
	// too. Default 4096.
	MaxQueued int
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.MaxAge == 0 {
		c.MaxAge = 30 * 24 * time.Hour
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 256 << 20
	}
	if c.MaxDocBytes == 0 {
		c.MaxDocBytes = 256 << 10
	}
	if c.MaxQueued == 0 {
		c.MaxQueued = 4096
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate returns every fault of c at once.
func (c Config) Validate() error {
	var errs []error
	if c.Logger == nil {
		errs = append(errs, errors.New("record: no Logger"))
	}
	if c.MaxBytes < 0 || c.MaxQueued < 0 {
		errs = append(errs, errors.New("record: a limit is negative"))
	}
	if c.MaxDocBytes < 0 || c.MaxDocBytes > 1<<20 {
		errs = append(errs, fmt.Errorf("record: MaxDocBytes is %d, want at most 1 MiB", c.MaxDocBytes))
	}
	return errors.Join(errs...)
}

// maxLabel is the longest graph, node and request id, in bytes.
const maxLabel = 256

// check returns why r cannot be appended.
func (c Config) check(t tenant.ID, r Record) error {
	if err := tenant.CheckID(t); err != nil {
		return err
	}
	if err := tenant.CheckName(r.Stream); err != nil {
		return err
	}
	if len(r.Doc) > c.MaxDocBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(r.Doc), c.MaxDocBytes)
	}
	if !json.Valid(r.Doc) {
		return fmt.Errorf("%w: a record of stream %s is no JSON", ErrInvalid, r.Stream)
	}
	if max(len(r.Graph), len(r.Node), len(r.RequestID)) > maxLabel {
		return fmt.Errorf("%w: a graph, node or request id of over %d bytes", ErrInvalid, maxLabel)
	}
	return nil
}
