package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/host/audit"
	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/oidc"
	"github.com/tandem-serve/tandem/host/usage"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
)

var (
	errNoKey = errors.New("no API key came with the call")
	errInput = errors.New("invalid request")
	// errInside says that the caller's role does not see what a graph is made of.
	errInside = errors.New("the key's role sees what a graph takes and gives, not what it is made of: ask for no form, or use a key of role viewer, publisher or admin")
)

// known lists the errors of other packages whose text may go to the caller, and what they mean there.
var known = []struct {
	err    error
	code   connect.Code
	reason tandemv1.Reason
	// text replaces the error's own text, which may name what is none of the caller's business.
	text string
}{
	{errNoKey, connect.CodeUnauthenticated, tandemv1.Reason_REASON_UNAUTHENTICATED, "no API key: send Authorization: Bearer tdm_..."},
	{oidc.ErrIssuer, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the identity provider does not answer; try again"},
	{tenant.ErrUnauthenticated, connect.CodeUnauthenticated, tandemv1.Reason_REASON_WRONG_KEY, "the API key or token is wrong, expired or revoked"},
	{tenant.ErrSuspended, connect.CodePermissionDenied, tandemv1.Reason_REASON_FORBIDDEN, "the tenant is suspended"},
	{tenant.ErrDenied, connect.CodePermissionDenied, tandemv1.Reason_REASON_FORBIDDEN, "the key's role does not allow this call"},
	{errInside, connect.CodePermissionDenied, tandemv1.Reason_REASON_FORBIDDEN, ""},
	{tenant.ErrScope, connect.CodePermissionDenied, tandemv1.Reason_REASON_FORBIDDEN, "the key is for some graphs only, and this is neither one of them nor theirs"},
	{errNotAudited, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, errNotAudited.Error()},
	{tenant.ErrNotFound, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND, ""},
	{tenant.ErrExists, connect.CodeAlreadyExists, tandemv1.Reason_REASON_CONFLICT, ""},
	{control.ErrDefaultTenant, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{control.ErrKey, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{audit.ErrUnavailable, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the audit log's store does not answer; try again"},
	{usage.ErrUnavailable, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the usage store does not answer; try again"},
	{tenant.ErrName, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{errInput, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{blob.ErrDigest, connect.CodeInvalidArgument, tandemv1.Reason_REASON_DIGEST_MISMATCH, ""},
	{blob.ErrChecksum, connect.CodeInvalidArgument, tandemv1.Reason_REASON_DIGEST_MISMATCH, ""},
	{blob.ErrTooLarge, connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED, ""},
	{blob.ErrTooManyUploads, connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED, ""},
	{blob.ErrNoSpace, connect.CodeResourceExhausted, tandemv1.Reason_REASON_STORAGE_FULL, ""},
	{blob.ErrIncomplete, connect.CodeFailedPrecondition, tandemv1.Reason_REASON_UPLOAD_OFFSET, ""},
	{blob.ErrInvalid, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{blob.ErrNotFound, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND, ""},
	{catalog.ErrNotFound, connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND, ""},
	{catalog.ErrConflict, connect.CodeAborted, tandemv1.Reason_REASON_CONFLICT, ""},
	{catalog.ErrInvalid, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{catalog.ErrLimit, connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED, ""},
	{catalog.ErrNoSpace, connect.CodeResourceExhausted, tandemv1.Reason_REASON_STORAGE_FULL, ""},
	{catalog.ErrUnavailable, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the catalog's store does not answer; try again"},
	{record.ErrInvalid, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{record.ErrTooLarge, connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED, ""},
	{record.ErrUnavailable, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the records' store does not answer; try again"},
	{record.ErrClosed, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the server is stopping"},
	{runners.ErrOverloaded, connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED, ""},
	{runners.ErrUnavailable, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, ""},
	{runners.ErrCrashed, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, ""},
	{runners.ErrModel, connect.CodeInvalidArgument, tandemv1.Reason_REASON_MODEL_INVALID, ""},
	{control.ErrServing, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INVALID_REQUEST, ""},
	{control.ErrClosed, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, ""},
	{blob.ErrClosed, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the server is stopping"},
	{catalog.ErrClosed, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the server is stopping"},
	{sandbox.ErrClosed, connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE, "the server is stopping"},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded, tandemv1.Reason_REASON_DEADLINE_EXCEEDED, "the deadline passed"},
	{context.Canceled, connect.CodeCanceled, tandemv1.Reason_REASON_CANCELED, "the call was cancelled"},
}

// toError writes the error that leaves the server. What is not meant for the caller becomes "internal error", with the
// request's id to find it in the log.
func toError(err error, id string) *connect.Error {
	code, text, d := describe(err)
	d.RequestId = id
	if stage, ok := errors.AsType[*control.StageError](err); ok {
		d.Stage = string(stage.Stage)
	}
	out := connect.NewError(code, text).WithCause(err)
	if detail, derr := connectproto.NewErrorDetail(d); derr == nil {
		out = out.WithDetail(detail)
	}
	return out
}

func describe(err error) (connect.Code, string, *tandemv1.ErrorDetail) {
	var (
		faults graph.Faults
		inputs engine.Errors
		failed *engine.Error
		reject *sandbox.RejectError
		offset *blob.OffsetError
		inUse  *catalog.InUseError
		wire   *connect.Error
	)
	if q := quotaOf(err); q != nil {
		code, text, d := describeQuota(q)
		if errors.As(err, &failed) {
			d.Graph, d.Node = failed.Graph, failed.Node
		}
		return code, text, d
	}
	switch {
	case errors.As(err, &faults):
		return describeFaults(faults)
	case errors.As(err, &inputs) && len(inputs) > 0:
		return describeInputs(inputs)
	case errors.As(err, &failed):
		return describeFailure(failed)
	case errors.As(err, &reject):
		return describeReject(reject)
	case errors.As(err, &offset):
		return connect.CodeOutOfRange, offset.Error(),
			&tandemv1.ErrorDetail{Reason: tandemv1.Reason_REASON_UPLOAD_OFFSET, CommittedOffset: offset.Committed}
	case errors.As(err, &inUse):
		return connect.CodeFailedPrecondition, inUse.Error(), &tandemv1.ErrorDetail{Reason: tandemv1.Reason_REASON_IN_USE}
	case errors.As(err, &wire) && !wire.IsRemote():
		return wire.Code(), wire.Message(), &tandemv1.ErrorDetail{Reason: reasonOf(wire.Code())}
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			text := k.text
			if text == "" {
				text = err.Error()
			}
			return k.code, text, &tandemv1.ErrorDetail{Reason: k.reason}
		}
	}
	return connect.CodeInternal, "internal error", &tandemv1.ErrorDetail{Reason: tandemv1.Reason_REASON_INTERNAL}
}

// quotaOf returns the quota for want of which a call was refused, or nil.
func quotaOf(err error) *tenant.QuotaError {
	if q, ok := errors.AsType[*tenant.QuotaError](err); ok {
		return q
	}
	if m, ok := errors.AsType[*sandbox.TenantMemoryError](err); ok {
		q := &tenant.QuotaError{Quota: "plugin_memory_bytes", Limit: m.Limit, Use: m.Use, Need: m.Need, RetryAfterSeconds: 1}
		if m.Need > m.Limit { // else a call of the tenant's has mostly ended by then
			q.RetryAfterSeconds, q.Advice = tenant.RetryHeld, "take a plugin that needs less, or ask for a higher limit"
		}
		return q
	}
	if w, ok := errors.AsType[*sandbox.TenantWaitingError](err); ok {
		return &tenant.QuotaError{Quota: "plugin_calls_waiting", Limit: w.Limit, Use: w.Use, Need: 1, RetryAfterSeconds: 1}
	}
	return nil
}

func describeQuota(q *tenant.QuotaError) (connect.Code, string, *tandemv1.ErrorDetail) {
	d := &tandemv1.ErrorDetail{
		Reason: tandemv1.Reason_REASON_QUOTA_EXCEEDED,
		Quota:  &tandemv1.QuotaExceeded{Quota: q.Quota, Limit: q.Limit, Use: q.Use, Need: q.Need},
	}
	if q.RetryAfterSeconds > 0 {
		d.RetryAfter = durationpb.New(time.Duration(q.RetryAfterSeconds * float64(time.Second)))
	}
	return connect.CodeResourceExhausted, q.Error(), d
}

// reasonOf names the failures that the protocol's own layers find, such as a message that is too large.
func reasonOf(c connect.Code) tandemv1.Reason {
	switch c {
	case connect.CodeResourceExhausted:
		return tandemv1.Reason_REASON_LIMIT_EXCEEDED
	case connect.CodeDeadlineExceeded:
		return tandemv1.Reason_REASON_DEADLINE_EXCEEDED
	case connect.CodeCanceled:
		return tandemv1.Reason_REASON_CANCELED
	case connect.CodeUnavailable:
		return tandemv1.Reason_REASON_UNAVAILABLE
	case connect.CodeInternal, connect.CodeUnknown:
		return tandemv1.Reason_REASON_INTERNAL
	default:
		return tandemv1.Reason_REASON_INVALID_REQUEST
	}
}

func describeFaults(fs graph.Faults) (connect.Code, string, *tandemv1.ErrorDetail) {
	text := fmt.Sprintf("the graph has %d faults", len(fs))
	if len(fs) == 1 {
		text = fs[0].Error()
	}
	return connect.CodeInvalidArgument, text, &tandemv1.ErrorDetail{Reason: tandemv1.Reason_REASON_GRAPH_INVALID, Faults: faultsTo(fs)}
}

func faultsTo(fs graph.Faults) []*tandemv1.Fault {
	out := make([]*tandemv1.Fault, len(fs))
	for i, f := range fs {
		out[i] = &tandemv1.Fault{
			Code: string(f.Code), Node: f.Node, Port: f.Port, Line: int32(f.Line), Column: int32(f.Column),
			Expected: f.Expected, Found: f.Found, Message: f.Message, Fix: f.Fix,
		}
	}
	return out
}

func describeReject(r *sandbox.RejectError) (connect.Code, string, *tandemv1.ErrorDetail) {
	d := &tandemv1.ErrorDetail{Reason: tandemv1.Reason_REASON_PLUGIN_INVALID}
	for _, reason := range r.Reasons {
		d.Faults = append(d.Faults, &tandemv1.Fault{Code: reason.Code, Message: reason.Text})
	}
	return connect.CodeInvalidArgument, r.Error(), d
}

func describeInputs(es engine.Errors) (connect.Code, string, *tandemv1.ErrorDetail) {
	code, _, d := describeFailure(es[0])
	for _, e := range es {
		d.Faults = append(d.Faults, &tandemv1.Fault{Code: "input", Port: e.Port, Expected: e.Expected, Found: e.Found, Message: e.Text})
	}
	return code, es.Error(), d
}

// failures says what the engine's reasons mean on the wire.
var failures = map[engine.Reason]struct {
	code   connect.Code
	reason tandemv1.Reason
}{
	engine.ReasonInternal:    {connect.CodeInternal, tandemv1.Reason_REASON_INTERNAL},
	engine.ReasonInput:       {connect.CodeInvalidArgument, tandemv1.Reason_REASON_INPUT_INVALID},
	engine.ReasonImage:       {connect.CodeInvalidArgument, tandemv1.Reason_REASON_IMAGE_INVALID},
	engine.ReasonType:        {connect.CodeFailedPrecondition, tandemv1.Reason_REASON_TYPE_MISMATCH},
	engine.ReasonPlugin:      {connect.CodeFailedPrecondition, tandemv1.Reason_REASON_PLUGIN_FAILED},
	engine.ReasonModel:       {connect.CodeFailedPrecondition, tandemv1.Reason_REASON_MODEL_FAILED},
	engine.ReasonDeadline:    {connect.CodeDeadlineExceeded, tandemv1.Reason_REASON_DEADLINE_EXCEEDED},
	engine.ReasonCanceled:    {connect.CodeCanceled, tandemv1.Reason_REASON_CANCELED},
	engine.ReasonLimit:       {connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED},
	engine.ReasonUnavailable: {connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE},
}

func describeFailure(e *engine.Error) (connect.Code, string, *tandemv1.ErrorDetail) {
	f := failures[e.Reason]
	d := &tandemv1.ErrorDetail{
		Reason: f.reason, Graph: e.Graph, Node: e.Node, Port: e.Port, Expected: e.Expected, Found: e.Found,
		CanceledNodes: e.Canceled,
	}
	if e.RetryAfter > 0 {
		d.RetryAfter = durationpb.New(e.RetryAfter)
	}
	return f.code, e.Error(), d
}

// rootCause returns what the log should show of a failure whose own text says nothing.
func rootCause(err error) error {
	var e *engine.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}
