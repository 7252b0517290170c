package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is returned by everything that is called after Close.
var ErrClosed = errors.New("the sandbox is closed")

// ErrCompile marks a module that the compiler could not or would not compile.
var ErrCompile = errors.New("the module does not compile")

// Reason is one reason why a module is refused.
type Reason struct {
	// Code is stable: wasmbin's codes for what the linter found, and "compile", "export", "start", "describe" and
	// "description" for what came after.
	Code string
	// Text is for people and names its place.
	Text string
}

// RejectError is a refused module with every reason that was found.
type RejectError struct {
	Reasons []Reason
}

// Error lists the reasons.
func (e *RejectError) Error() string {
	texts := make([]string, len(e.Reasons))
	for i, r := range e.Reasons {
		texts[i] = r.Text
	}
	return "plugin refused: " + strings.Join(texts, "; ")
}

func reject(code, format string, args ...any) *RejectError {
	return &RejectError{Reasons: []Reason{{Code: code, Text: fmt.Sprintf(format, args...)}}}
}

// Kind says what went wrong in a call.
type Kind uint8

// Kinds of [CallError].
const (
	// KindTrap is a guest that trapped: out of bounds, unreachable, division by zero, stack overflow, exit.
	KindTrap Kind = iota + 1
	// KindDeadline is a call that ran out of time.
	KindDeadline
	// KindCanceled is a call whose context was cancelled.
	KindCanceled
	// KindMemory is a trapped guest that had asked for more memory than its cap.
	KindMemory
	// KindInput is an input that does not fit its port, or a call of a function that does not exist.
	KindInput
	// KindOutput is an answer of the guest that breaks the ABI or does not fit its port.
	KindOutput
	// KindGuest is an error that the guest itself reported.
	KindGuest
	// KindQuota is a call that used more than it may: fuel, arena, output bytes; or whose tenant has what it may, of memory or of calls
	// that wait for an instance.
	KindQuota
	// KindBusy is a call that found too many configurations of its plugin in use.
	KindBusy
	// KindStart is a guest whose start or initialisation with this configuration failed.
	KindStart
	// KindClosed is a call of a plugin or host that was closed.
	KindClosed
	// KindHost is a fault of the machine: no memory for an instance.
	KindHost
)

var kindNames = [...]string{
	"", "trap", "deadline", "canceled", "memory", "input", "output", "guest", "quota", "busy", "start", "closed", "host",
}

// String returns the kind's name, stable: "trap", "deadline" and so on.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// CallError is a failed call. Use errors.As to read it. errors.Is tells context.DeadlineExceeded for KindDeadline,
// context.Canceled for KindCanceled and ErrClosed for KindClosed.
type CallError struct {
	// Plugin is the name in the plugin's description.
	Plugin string
	// Function and Port say where; Port is "" when the fault is not about one.
	Function, Port string
	Kind           Kind
	// Code is the negative number that the guest returned, 0 for all but KindGuest.
	Code int
	// Text is for people. For KindGuest it is the guest's own text, bounded and valid UTF-8.
	Text string
	// Cause is what lies below, or nil.
	Cause error
}

// Error names plugin, function and port.
func (e *CallError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plugin %q", e.Plugin)
	if e.Function != "" {
		fmt.Fprintf(&b, " function %q", e.Function)
	}
	if e.Port != "" {
		fmt.Fprintf(&b, " port %q", e.Port)
	}
	fmt.Fprintf(&b, ": %s: %s", e.Kind, e.Text)
	return b.String()
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Cause }

// Is tells the sentinel of the kind.
func (e *CallError) Is(target error) bool {
	switch e.Kind {
	case KindDeadline:
		return target == context.DeadlineExceeded
	case KindCanceled:
		return target == context.Canceled
	case KindClosed:
		return target == ErrClosed
	default:
		return false
	}
}
