package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
)

// maxLogLine is the longest line of a log; the rest of it is cut.
const maxLogLine = 4 << 10

// logState is what one call has logged.
type logState struct {
	lines, bytes       int
	maxLines, maxBytes int
	dropped            int
	last               string    // the last line, for error texts
	stderr             string    // the first line of standard error: what a language says when it gives up
	partial            [2][]byte // standard output and error up to the next line feed
}

// logLevels are the levels of a guest's log import.
var logLevels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func hostLog(c hostCall) {
	level, n := c.u32(0), c.u32(2)
	if b, ok := c.bytes(c.u32(1), n); ok {
		c.in.state.logLine(c.ctx, logLevels[min(level, uint32(len(logLevels)-1))], b)
	}
}

// logLine passes one line on, within the quota of the call.
func (s *callState) logLine(ctx context.Context, level slog.Level, b []byte) {
	l := &s.log
	b = b[:min(len(b), maxLogLine)]
	if l.lines >= l.maxLines || l.bytes+len(b) > l.maxBytes {
		l.dropped++
		return
	}
	l.lines++
	l.bytes += len(b)
	l.last = guestText(b)
	if s.services.Log != nil {
		s.services.Log(ctx, level, l.last)
	}
}

// write adds to standard output (0) or error (1).
func (s *callState) write(ctx context.Context, stream int, b []byte) {
	l := &s.log
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		room := maxLogLine - len(l.partial[stream])
		l.partial[stream] = append(l.partial[stream], line[:min(len(line), room)]...)
		if !whole {
			return
		}
		s.flushLine(ctx, stream)
		b = rest
	}
}

func (s *callState) flushLine(ctx context.Context, stream int) {
	level := slog.LevelInfo
	if stream == 1 {
		level = slog.LevelError
		if s.log.stderr == "" {
			s.log.stderr = guestText(s.log.partial[stream][:min(len(s.log.partial[stream]), 512)])
		}
	}
	s.logLine(ctx, level, s.log.partial[stream])
	s.log.partial[stream] = s.log.partial[stream][:0]
}

// endLog logs what was printed without a line feed, and how much was dropped.
func (s *callState) endLog(ctx context.Context) {
	for stream := range s.log.partial {
		if len(s.log.partial[stream]) > 0 {
			s.flushLine(ctx, stream)
		}
	}
	if s.log.dropped > 0 && s.services.Log != nil {
		s.services.Log(ctx, slog.LevelWarn, fmt.Sprintf("%d log lines of this call were dropped", s.log.dropped))
		s.log.dropped = 0
	}
}
