package client

import "connectrpc.com/connect/v2"

// Code is the kind of a failure, by its name in the Connect protocol; gRPC has the same kinds under upper-case names. Programs
// branch on Reason where they need to know exactly what failed, and on Code where the kind is enough.
type Code string

// The codes that a Tandem server and the transport to it give.
const (
	// CodeCanceled: the caller has left.
	CodeCanceled Code = "canceled"
	// CodeUnknown: err is nil or was not made by a call, or the other side gave no code.
	CodeUnknown Code = "unknown"
	// CodeInvalidArgument: the request is wrong whatever the server holds.
	CodeInvalidArgument Code = "invalid_argument"
	// CodeDeadlineExceeded: the deadline passed first.
	CodeDeadlineExceeded Code = "deadline_exceeded"
	// CodeNotFound: what the request names does not exist, or not for this tenant.
	CodeNotFound Code = "not_found"
	// CodeAlreadyExists: what the request makes is there already.
	CodeAlreadyExists Code = "already_exists"
	// CodePermissionDenied: the key is known and may not do this.
	CodePermissionDenied Code = "permission_denied"
	// CodeResourceExhausted: a limit or a quota is reached; a later call may succeed.
	CodeResourceExhausted Code = "resource_exhausted"
	// CodeFailedPrecondition: the server's state forbids it, for instance because the object is in use.
	CodeFailedPrecondition Code = "failed_precondition"
	// CodeAborted: another writer was first.
	CodeAborted Code = "aborted"
	// CodeOutOfRange: an offset is not the one that the server expects.
	CodeOutOfRange Code = "out_of_range"
	// CodeUnimplemented: the server does not know the call.
	CodeUnimplemented Code = "unimplemented"
	// CodeInternal: a fault of the server; its log has more.
	CodeInternal Code = "internal"
	// CodeUnavailable: no server answers, or it is starting or stopping.
	CodeUnavailable Code = "unavailable"
	// CodeDataLoss: stored data is damaged.
	CodeDataLoss Code = "data_loss"
	// CodeUnauthenticated: the key is missing or wrong.
	CodeUnauthenticated Code = "unauthenticated"
)

// CodeOf returns the kind of a failed call, CodeUnknown for an error that no call returned.
func CodeOf(err error) Code { return Code(connect.CodeOf(err).String()) }
