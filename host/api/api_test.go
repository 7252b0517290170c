package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/runners"
)

// TestEveryProcedureHasAnAction keeps a new procedure from being refused, or worse, forgotten.
func TestEveryProcedureHasAnAction(t *testing.T) {
	seen := 0
	for _, file := range []protoreflect.FileDescriptor{
		tandemv1.File_tandem_v1_inference_proto, tandemv1.File_tandem_v1_model_proto, tandemv1.File_tandem_v1_plugin_proto,
		tandemv1.File_tandem_v1_graph_proto, tandemv1.File_tandem_v1_release_proto, tandemv1.File_tandem_v1_tag_proto, tandemv1.File_tandem_v1_record_proto, tandemv1.File_tandem_v1_server_proto,
		tandemv1.File_tandem_v1_tenant_proto,
	} {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				procedure := fmt.Sprintf("/%s/%s", s.FullName(), s.Methods().Get(j).Name())
				if _, ok := procedures[procedure]; !ok {
					t.Errorf("%s has no action", procedure)
				}
				seen++
			}
		}
	}
	if seen != len(procedures) {
		t.Errorf("%d actions for %d procedures", len(procedures), seen)
	}
}

func TestErrorsOnTheWire(t *testing.T) {
	staged := &control.StageError{Stage: control.StageLoad, Err: runners.ErrModel}
	if d := detail(t, toError(fmt.Errorf("publish: %w", staged), "id")); d.GetStage() != "load" {
		t.Errorf("got stage %q, want load", d.GetStage())
	}
	for _, tc := range []struct {
		err    error
		code   connect.Code
		reason tandemv1.Reason
	}{
		{errors.New("secret"), connect.CodeInternal, tandemv1.Reason_REASON_INTERNAL},
		{fmt.Errorf("x: %w", catalog.ErrNotFound), connect.CodeNotFound, tandemv1.Reason_REASON_NOT_FOUND},
		{catalog.ErrCorrupt, connect.CodeInternal, tandemv1.Reason_REASON_INTERNAL},
		{tenant.ErrNone, connect.CodeInternal, tandemv1.Reason_REASON_INTERNAL},
		{tenant.ErrDenied, connect.CodePermissionDenied, tandemv1.Reason_REASON_FORBIDDEN},
		{&blob.OffsetError{Offset: 5, Committed: 7}, connect.CodeOutOfRange, tandemv1.Reason_REASON_UPLOAD_OFFSET},
		{fmt.Errorf("append: %w", blob.ErrNoSpace), connect.CodeResourceExhausted, tandemv1.Reason_REASON_STORAGE_FULL},
		{&catalog.InUseError{}, connect.CodeFailedPrecondition, tandemv1.Reason_REASON_IN_USE},
		{&sandbox.RejectError{Reasons: []sandbox.Reason{{Code: "c", Text: "t"}}}, connect.CodeInvalidArgument, tandemv1.Reason_REASON_PLUGIN_INVALID},
		{graph.Faults{{Code: "cycle"}}, connect.CodeInvalidArgument, tandemv1.Reason_REASON_GRAPH_INVALID},
		{runners.ErrModel, connect.CodeInvalidArgument, tandemv1.Reason_REASON_MODEL_INVALID},
		{staged, connect.CodeInvalidArgument, tandemv1.Reason_REASON_MODEL_INVALID},
		{fmt.Errorf("load: %w", runners.ErrUnavailable), connect.CodeUnavailable, tandemv1.Reason_REASON_UNAVAILABLE},
		{&engine.Error{Reason: engine.ReasonPlugin}, connect.CodeFailedPrecondition, tandemv1.Reason_REASON_PLUGIN_FAILED},
		{&engine.Error{Reason: engine.ReasonLimit, Err: &sandbox.CallError{Kind: sandbox.KindQuota, Cause: &sandbox.TenantWaitingError{Limit: 2, Use: 2}}}, connect.CodeResourceExhausted, tandemv1.Reason_REASON_QUOTA_EXCEEDED},
		{engine.Errors{{Reason: engine.ReasonInput}}, connect.CodeInvalidArgument, tandemv1.Reason_REASON_INPUT_INVALID},
		{connect.NewError(connect.CodeResourceExhausted, "message too large"), connect.CodeResourceExhausted, tandemv1.Reason_REASON_LIMIT_EXCEEDED},
		{context.DeadlineExceeded, connect.CodeDeadlineExceeded, tandemv1.Reason_REASON_DEADLINE_EXCEEDED},
	} {
		out := toError(tc.err, "id")
		d := detail(t, out)
		if out.Code() != tc.code || d.GetReason() != tc.reason || d.GetRequestId() != "id" {
			t.Errorf("%v: got %v %v, want %v %v", tc.err, out.Code(), d, tc.code, tc.reason)
		}
		if out.Code() == connect.CodeInternal && out.Message() != "internal error" {
			t.Errorf("%v: the caller is told %q", tc.err, out.Message())
		}
	}
}

func detail(t *testing.T, err *connect.Error) *tandemv1.ErrorDetail {
	t.Helper()
	for _, d := range err.Details() {
		msg, uerr := connectproto.UnmarshalErrorDetail(d)
		if uerr != nil {
			t.Fatal(uerr)
		}
		if out, ok := msg.(*tandemv1.ErrorDetail); ok {
			return out
		}
	}
	t.Fatalf("%v carries no detail", err)
	return nil
}

// TestEveryEngineReasonIsKnown keeps a new reason from leaving the server as code 0.
func TestEveryEngineReasonIsKnown(t *testing.T) {
	for r := engine.ReasonInternal; r <= engine.ReasonUnavailable; r++ {
		if f, ok := failures[r]; !ok || f.code == 0 {
			t.Errorf("reason %v has no code", r)
		}
	}
}

type meter struct{ codes []string }

func (m *meter) Call(_, code string, _ time.Duration) { m.codes = append(m.codes, code) }

func TestPanicCostsTheCall(t *testing.T) {
	m := &meter{}
	f := finish(slog.New(slog.DiscardHandler), m)(func(context.Context, connect.Spec, connect.ServerStream) error { panic("boom") })
	err := f(t.Context(), connect.Spec{Procedure: "/x"}, nil)
	if connect.CodeOf(err) != connect.CodeInternal || len(m.codes) != 1 || m.codes[0] != "internal" {
		t.Fatalf("got %v, counted %v", err, m.codes)
	}
}
