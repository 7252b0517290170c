// Package record owns comparison records and request samples: append, list.
package record

import (
	"context"
	"encoding/json"
	"errors"
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
	// Graph, Release and Node say what made it, RequestID for which call.
	Graph     string `json:"graph,omitempty"`
	Release   int    `json:"release,omitempty"`
	Node      string `json:"node,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// At is when it was made, by the server's clock.
	At time.Time `json:"at"`
	// Doc is one JSON document.
	Doc json.RawMessage `json:"doc"`
}

// Config configures a [Log].
type Config struct {
	// MaxAge is how long a record is kept. Default 30 days; negative is for ever.
	MaxAge time.Duration
	// MaxBytes is the most bytes kept per tenant; the oldest records go first. Default 256 MiB.
	MaxBytes int64
	// MaxDocBytes is the largest document. Default 256 KiB.
	MaxDocBytes int
	// MaxQueued is the number of records, over all tenants, that wait to be written; when as many wait, Append waits too.
	// Default 4096.
	MaxQueued int
	// Logger is required.
	Logger *slog.Logger
}

// Filter says which records to list.
type Filter struct {
	// Stream and Graph, when not "", must be equal.
	Stream, Graph string
	// Since, when not the zero time, leaves out older records.
	Since time.Time
	// OldestFirst turns the order round; the default is newest first.
	OldestFirst bool
	// Limit is the most records to return. Default 100, at most 1000.
	Limit int
	// Token continues an earlier List with an equal filter; "" starts.
	Token string
}

// Log appends and lists records. Its methods may overlap.
type Log struct{}

// Open returns a Log over the catalog's connection. Close it before the catalog.
func Open(ctx context.Context, conn *catalog.Conn, cfg Config) (*Log, error) {
	return nil, errors.ErrUnsupported
}

// Close writes what is queued, until ctx is done, and ends the log.
func (l *Log) Close(ctx context.Context) error { return nil }

// Pending is a record on its way to the disk.
type Pending struct{}

// Wait returns nil once the record is durable, or why it is not. When ctx ends first, the record may still be written.
func (p *Pending) Wait(ctx context.Context) error { return errors.ErrUnsupported }

// Start queues a record and returns at once, unless the queue is full: then it waits for room or ctx. The record counts
// only when the Pending says so.
func (l *Log) Start(ctx context.Context, t tenant.ID, r Record) (*Pending, error) {
	return nil, errors.ErrUnsupported
}

// Append writes a record and returns once it is durable.
func (l *Log) Append(ctx context.Context, t tenant.ID, r Record) error { return errors.ErrUnsupported }

// List returns records of one tenant and a token for more, "" when there are none. It may return fewer than Limit, even
// none, with a token: it looks at a bounded number of records per call.
func (l *Log) List(ctx context.Context, t tenant.ID, f Filter) ([]Record, string, error) {
	return nil, "", errors.ErrUnsupported
}
