package worker

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// maxLine bounds a line that a worker says, and maxLines how many of them are logged.
const (
	maxLine  = 1 << 10
	maxLines = 1000
)

// voice logs what a worker writes to its standard error, line by line, and keeps the first of the last words: a Go program that
// crashes says why before it says where.
type voice struct {
	log    *slog.Logger
	tenant string

	mu    sync.Mutex // mu guards the following
	part  []byte
	lines int
	why   string
}

// Write implements io.Writer.
func (v *voice) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for rest := b; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		v.part = append(v.part, line[:min(len(line), maxLine-len(v.part))]...)
		rest = after
		if ended {
			v.sayLocked(oneLine(string(v.part)))
			v.part = v.part[:0]
		}
	}
	return len(b), nil
}

func (v *voice) sayLocked(line string) {
	if line == "" {
		return
	}
	say := v.log.Warn
	if v.why != "" {
		say = v.log.Debug // where in this program it was, and what the registers held
	}
	if v.lines++; v.lines <= maxLines {
		say("worker says", slog.String("tenant", v.tenant), slog.String("text", line))
	}
	if v.why == "" {
		for _, sign := range []string{"panic:", "fatal error:", "SIG", "terminate called", "out of memory", "worker:", "cannot allocate", "bad_alloc", "Assertion"} {
			if strings.Contains(line, sign) {
				v.why = line
			}
		}
	}
}

// last returns why the worker died, as far as it said so.
func (v *voice) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.why
}
