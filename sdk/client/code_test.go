package client_test

import (
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/sdk/client"
)

func TestCodeOf(t *testing.T) {
	codes := map[connect.Code]client.Code{
		connect.CodeCanceled:           client.CodeCanceled,
		connect.CodeUnknown:            client.CodeUnknown,
		connect.CodeInvalidArgument:    client.CodeInvalidArgument,
		connect.CodeDeadlineExceeded:   client.CodeDeadlineExceeded,
		connect.CodeNotFound:           client.CodeNotFound,
		connect.CodeAlreadyExists:      client.CodeAlreadyExists,
		connect.CodePermissionDenied:   client.CodePermissionDenied,
		connect.CodeResourceExhausted:  client.CodeResourceExhausted,
		connect.CodeFailedPrecondition: client.CodeFailedPrecondition,
		connect.CodeAborted:            client.CodeAborted,
		connect.CodeOutOfRange:         client.CodeOutOfRange,
		connect.CodeUnimplemented:      client.CodeUnimplemented,
		connect.CodeInternal:           client.CodeInternal,
		connect.CodeUnavailable:        client.CodeUnavailable,
		connect.CodeDataLoss:           client.CodeDataLoss,
		connect.CodeUnauthenticated:    client.CodeUnauthenticated,
	}
	for wire, want := range codes {
		err := fmt.Errorf("infer: %w", connect.NewError(wire, "no"))
		if got := client.CodeOf(err); got != want {
			t.Errorf("%v: got %q, want %q", wire, got, want)
		}
	}
	for _, err := range []error{nil, errors.New("no call")} {
		if got := client.CodeOf(err); got != client.CodeUnknown {
			t.Errorf("%v: got %q, want %q", err, got, client.CodeUnknown)
		}
	}
}
