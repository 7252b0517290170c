// Package telemetry owns how the server speaks to its operators: the logger, and the metrics in a registry of its own. It is the
// only package that knows Prometheus. Other packages declare the one- or two-method interface that they report to; the
// types here have those methods. It has no goroutines; Metrics and what it hands out may be used concurrently.
package telemetry

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// LogConfig says how to log. The zero LogConfig logs from level info, as text on a terminal and as JSON elsewhere.
type LogConfig struct {
	// Level is the lowest level that is written. Default: info.
	Level slog.Level
	// Format is "text", "json" or, the default, "" for whichever fits the file.
	Format string
}

// NewLogger returns a logger that writes to w, one line a record. Whoever passes w closes it, after the logger's last use.
func NewLogger(w io.Writer, cfg LogConfig) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == "text" || cfg.Format == "" && terminal(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
