package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
)

// How often garbage is collected, and how old a blob must be before it can be garbage: an upload that was finished needs
// a moment until it is a model or a plugin.
const (
	collectEvery = 15 * time.Minute
	collectAge   = time.Hour
)

// collector removes unfinished uploads that were given up, catalog records that nothing names, and blobs that nothing
// names.
type collector struct {
	blobs     *blob.Dir
	catalog   *catalog.Catalog
	uploadAge time.Duration
	log       *slog.Logger
}

// run collects from time to time until ctx ends. A failure is logged and tried again.
func (c *collector) run(ctx context.Context) error {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		if err := c.collect(ctx); err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "collect garbage", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *collector) collect(ctx context.Context) error {
	uploads, err := c.blobs.Sweep(ctx, c.uploadAge)
	if err != nil {
		return err
	}
	if err := c.catalog.Sweep(ctx); err != nil {
		return err
	}
	before := time.Now().Add(-collectAge)
	keep, err := c.catalog.References(ctx)
	if err != nil {
		return err
	}
	blobs, bytes, err := blob.Collect(ctx, c.blobs, keep, before)
	if uploads > 0 || blobs > 0 {
		c.log.InfoContext(ctx, "collected garbage", slog.Int("uploads", uploads), slog.Int("blobs", blobs), slog.Int64("bytes", bytes))
	}
	return err
}
