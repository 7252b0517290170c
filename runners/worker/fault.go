package worker

import (
	"errors"
	"strings"
	"unicode"

	"github.com/tandem-serve/tandem/runners"
)

// faultKind says which of the runners' errors a fault is.
type faultKind uint8

// faultKinds maps the kinds to errors; the order is the protocol's.
var faultKinds = [...]error{
	nil, runners.ErrClosed, runners.ErrShape, runners.ErrModel, runners.ErrRun, runners.ErrOverloaded, runners.ErrUnavailable,
}

func kindOf(err error) faultKind {
	for i, kind := range faultKinds {
		if i > 0 && errors.Is(err, kind) {
			return faultKind(i)
		}
	}
	return 0
}

// fault is an error that came from a worker: its words, and the runners' error that it is.
type fault struct {
	Kind faultKind
	Text string
}

func (f *fault) Error() string { return f.Text }

// Unwrap returns the runners' error.
func (f *fault) Unwrap() error {
	if int(f.Kind) < len(faultKinds) && f.Kind > 0 {
		return faultKinds[f.Kind]
	}
	return runners.ErrRun
}

// faultOf makes an error of what a worker said, which may be anything.
func faultOf(kind faultKind, text string) error {
	return &fault{kind, oneLine(text)}
}

// oneLine makes text fit to be shown.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(text), "\uFFFD"))
}
