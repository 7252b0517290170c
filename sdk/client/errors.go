package client

import (
	"errors"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// Detail returns what the server says about a failed call, or nil when err does not come from a Tandem server. The text of
// the failure itself is Message(err).
func Detail(err error) *tandemv1.ErrorDetail {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return nil
	}
	for _, d := range ce.Details() {
		if msg, err := connectproto.UnmarshalErrorDetail(d); err == nil {
			if detail, ok := msg.(*tandemv1.ErrorDetail); ok {
				return detail
			}
		}
	}
	return nil
}

// Reason returns the stable name of a failure, REASON_UNSPECIFIED when the server gave none.
func Reason(err error) tandemv1.Reason { return Detail(err).GetReason() }

// Message returns the server's sentence about a failed call without the protocol's prefix, or err's own text.
func Message(err error) string {
	var ce *connect.Error
	if errors.As(err, &ce) && ce.Message() != "" {
		return ce.Message()
	}
	return err.Error()
}
