package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tandem-serve/tandem/host/sandbox"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// Exit codes; the help text lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitRefused     = 4
	exitNotFound    = 5
	exitInvalid     = 6
	exitTimeout     = 7
	exitLimit       = 8
)

// errSaid: the command failed and has said why.
var errSaid = errors.New("failed")

// usageError is a command line that parses but makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	switch client.CodeOf(err) {
	case client.CodeUnavailable:
		return exitUnreachable
	case client.CodeUnauthenticated, client.CodePermissionDenied:
		return exitRefused
	case client.CodeNotFound:
		return exitNotFound
	case client.CodeInvalidArgument, client.CodeFailedPrecondition, client.CodeOutOfRange:
		return exitInvalid
	case client.CodeDeadlineExceeded:
		return exitTimeout
	case client.CodeResourceExhausted:
		return exitLimit
	default:
	}
	var (
		invalid *invalidError
		call    *sandbox.CallError
	)
	switch {
	case errors.As(err, &call) && call.Kind != sandbox.KindDeadline:
		return exitInvalid
	case errors.As(err, &invalid):
		return exitInvalid
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	default:
		return exitFailed
	}
}

// invalidError: what was to be checked has faults; they have been printed.
type invalidError struct{ what string }

func (e *invalidError) Error() string { return e.what }

// isLocal tells a plugin's call without a server.
func isLocal(err error) bool {
	_, ok := errors.AsType[*sandbox.CallError](err)
	return ok
}

// printError says what went wrong and, where the server knows more, each fault on a line of its own.
func printError(w io.Writer, err error) {
	d := client.Detail(err)
	text := client.Message(err)
	if client.CodeOf(err) == client.CodeUnavailable && d == nil {
		text = fmt.Sprintf("the server cannot be reached: %s\nStart one with \"tandem serve\", or name it with --server.", text)
	}
	if errors.Is(err, context.DeadlineExceeded) && d == nil && !isLocal(err) {
		text = "time ran out before the server answered; --timeout gives it more"
	}
	_, _ = fmt.Fprintln(w, "tandem:", text)
	if faults := d.GetFaults(); len(faults) > 1 || d.GetReason() == tandemv1.Reason_REASON_GRAPH_INVALID {
		for _, f := range faults {
			_, _ = fmt.Fprintln(w, "  "+faultLine(f))
		}
	}
	if d.GetReason() == tandemv1.Reason_REASON_INTERNAL {
		_, _ = fmt.Fprintln(w, "The server's log has the rest under request", d.GetRequestId())
	}
}
