package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
)

// Reason is the class of a failure.
type Reason uint8

// Reasons.
const (
	ReasonInternal    Reason = iota // a fault of the server
	ReasonInput                     // the request's inputs do not fit the graph
	ReasonImage                     // an image cannot be read
	ReasonType                      // a value does not fit the port that it goes to
	ReasonPlugin                    // a plugin failed
	ReasonModel                     // a model failed
	ReasonDeadline                  // the deadline passed
	ReasonCanceled                  // the caller went away
	ReasonLimit                     // a limit was exceeded
	ReasonUnavailable               // what the node needs is closed, busy or missing
)

var reasonNames = [...]string{"internal", "input", "image", "type", "plugin", "model", "deadline", "canceled", "limit", "unavailable"}

// String returns the reason's name, stable, as metrics show it.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "internal"
}

// Error is a failed request: what went wrong and where. Its text is written for the caller.
type Error struct {
	Reason Reason
	Graph  string
	Node   string
	Port   string
	// Expected and Found are the two sides of a mismatch, else empty.
	Expected string
	Found    string
	Text     string
	// Canceled are the nodes that were running and were ended because this one failed.
	Canceled []string
	// RetryAfter is how long to wait before trying again; 0 when that is not known or will not help.
	RetryAfter time.Duration
	// Err is the cause, or nil. It stays on the server.
	Err error
}

// Error names graph, node and port.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("graph " + e.Graph)
	if e.Node != "" {
		b.WriteString(" node " + e.Node)
	}
	if e.Port != "" && e.Node != "" {
		b.WriteString(" port " + e.Port)
	}
	b.WriteString(": " + e.Text)
	if len(e.Canceled) > 0 {
		b.WriteString("; ended with it: " + strings.Join(e.Canceled, ", "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors are all faults of a request's inputs.
type Errors []*Error

// Error returns one line for each fault.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// siblingError is why a node ended that did not fail itself.
type siblingError struct{ first *Error }

// Error says whose failure it was.
func (e *siblingError) Error() string { return "ended because node " + e.first.Node + " failed" }

// classify turns what a target returned into an *Error without its place.
func classify(err error) *Error {
	var (
		own     *Error
		call    *sandbox.CallError
		refused *batch.RefusedError
		sibling *siblingError
	)
	switch {
	case errors.As(err, &sibling):
		return &Error{Reason: ReasonCanceled, Text: sibling.Error(), Err: context.Canceled}
	case errors.As(err, &own):
		return own
	case errors.Is(err, tenant.ErrQuota):
		return &Error{Reason: ReasonLimit, Text: err.Error(), Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: ReasonDeadline, Text: "the deadline passed", Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Reason: ReasonCanceled, Text: "the request was cancelled", Err: err}
	case errors.As(err, &call):
		return &Error{Reason: callReason(call.Kind), Port: call.Port, Text: call.Error(), Err: err}
	case errors.Is(err, imaging.ErrNotImage), errors.Is(err, imaging.ErrTooLarge), errors.Is(err, imaging.ErrDamaged):
		return &Error{Reason: ReasonImage, Text: err.Error(), Err: err}
	case errors.Is(err, runners.ErrClosed), errors.Is(err, runners.ErrUnavailable), errors.Is(err, runners.ErrCrashed):
		return &Error{Reason: ReasonUnavailable, Text: err.Error(), Err: err}
	case errors.As(err, &refused):
		return &Error{Reason: ReasonLimit, Text: err.Error(), RetryAfter: refused.RetryAfter, Err: err}
	case errors.Is(err, runners.ErrOverloaded):
		return &Error{Reason: ReasonLimit, Text: err.Error(), RetryAfter: comeBack, Err: err}
	case errors.Is(err, runners.ErrShape):
		return &Error{Reason: ReasonType, Text: err.Error(), Err: err}
	case errors.Is(err, runners.ErrRun), errors.Is(err, runners.ErrModel):
		return &Error{Reason: ReasonModel, Text: err.Error(), Err: err}
	default:
		return &Error{Reason: ReasonInternal, Text: "internal error", Err: err}
	}
}

func callReason(k sandbox.Kind) Reason {
	switch k {
	case sandbox.KindDeadline:
		return ReasonDeadline
	case sandbox.KindCanceled:
		return ReasonCanceled
	case sandbox.KindQuota:
		return ReasonLimit
	case sandbox.KindBusy, sandbox.KindClosed:
		return ReasonUnavailable
	case sandbox.KindInput:
		return ReasonType
	case sandbox.KindHost:
		return ReasonInternal
	case sandbox.KindTrap, sandbox.KindMemory, sandbox.KindOutput, sandbox.KindGuest, sandbox.KindStart:
		return ReasonPlugin
	default:
		return ReasonInternal
	}
}

// isQuota tells what a target was refused for want of its tenant's quota.
func isQuota(err error) bool {
	_, memory := errors.AsType[*sandbox.TenantMemoryError](err)
	return memory || errors.Is(err, tenant.ErrQuota)
}
