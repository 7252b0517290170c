package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// progress draws one line that shows how far an upload is, when w is a terminal. It is used by one goroutine.
type progress struct {
	w     io.Writer
	label string
	start time.Time
	first int64 // bytes that were there before
	shown time.Time
	width int
}

// newProgress returns a progress line for w, or nil when w is not a terminal; a nil progress draws nothing.
func newProgress(w io.Writer, label string) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		width = 80
	}
	return &progress{w: w, label: label, first: -1, width: width}
}

const (
	barWidth  = 24
	drawEvery = 80 * time.Millisecond
)

// update draws done of total bytes; it may be called as often as one likes.
func (p *progress) update(done, total int64) {
	if p == nil || total <= 0 {
		return
	}
	now := time.Now()
	if p.first < 0 {
		p.first, p.start = done, now
	} else if done < total && now.Sub(p.shown) < drawEvery {
		return
	}
	p.shown = now
	filled := int(done * barWidth / total)
	line := fmt.Sprintf("%s [%s%s] %3d%% of %s%s", p.label, strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled),
		done*100/total, humanize.IBytes(uint64(total)), p.rate(done, total, now))
	_, _ = fmt.Fprintf(p.w, "\r%-*.*s", p.width-1, p.width-1, line)
}

// rate says how fast it goes and how long it will take.
func (p *progress) rate(done, total int64, now time.Time) string {
	took := now.Sub(p.start).Seconds()
	if took < 0.2 || done <= p.first {
		return ""
	}
	perSecond := float64(done-p.first) / took
	left := time.Duration(float64(total-done) / perSecond * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf(", %s/s, %v left", humanize.IBytes(uint64(perSecond)), left)
}

// note replaces the line with a text, for what comes after the last byte.
func (p *progress) note(text string) {
	if p != nil {
		_, _ = fmt.Fprintf(p.w, "\r%-*.*s", p.width-1, p.width-1, p.label+" "+text)
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p != nil {
		_, _ = fmt.Fprintf(p.w, "\r%*s\r", p.width-1, "")
	}
}
