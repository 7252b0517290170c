package api

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// access says who may call a procedure.
type access struct {
	// action is what the caller's role must allow.
	action tenant.Action
	// within says whether a caller that is kept to some graphs may; nil is no.
	within within
}

// procedures has the access of each. A procedure that is not here is refused.
var procedures = map[string]access{
	tandemv1connect.InferenceServiceInferProcedure:       {tenant.ActionCall, ofGraph},
	tandemv1connect.InferenceServiceInferStreamProcedure: {tenant.ActionCall, ofInfer},

	tandemv1connect.ModelServiceBeginModelUploadProcedure:  {tenant.ActionPublish, named},
	tandemv1connect.ModelServicePutModelChunkProcedure:     {tenant.ActionPublish, ofUpload},
	tandemv1connect.ModelServiceFinishModelUploadProcedure: {tenant.ActionPublish, ofUpload},
	tandemv1connect.ModelServiceDeleteModelProcedure:       {tenant.ActionPublish, named},
	tandemv1connect.ModelServiceGetModelProcedure:          {tenant.ActionView, seenModel},
	tandemv1connect.ModelServiceListModelsProcedure:        {tenant.ActionView, versionsOfModel},

	tandemv1connect.PluginServiceBeginPluginUploadProcedure:  {tenant.ActionPublish, named},
	tandemv1connect.PluginServicePutPluginChunkProcedure:     {tenant.ActionPublish, ofUpload},
	tandemv1connect.PluginServiceFinishPluginUploadProcedure: {tenant.ActionPublish, ofUpload},
	tandemv1connect.PluginServiceDeletePluginProcedure:       {tenant.ActionPublish, named},
	tandemv1connect.PluginServiceGetPluginProcedure:          {tenant.ActionView, seenPlugin},
	tandemv1connect.PluginServiceListPluginsProcedure:        {tenant.ActionView, versionsOfPlugin},

	tandemv1connect.GraphServicePublishGraphProcedure:  {tenant.ActionPublish, byHandler},
	tandemv1connect.GraphServiceDeleteGraphProcedure:   {tenant.ActionPublish, graphNamed},
	tandemv1connect.GraphServiceValidateGraphProcedure: {tenant.ActionView, byHandler},
	tandemv1connect.GraphServiceGetGraphProcedure:      {tenant.ActionDescribe, graphNamed},
	tandemv1connect.GraphServiceListGraphsProcedure:    {tenant.ActionView, byHandler},

	tandemv1connect.ReleaseServiceRollbackProcedure:      {tenant.ActionPublish, ofGraph},
	tandemv1connect.ReleaseServiceSetCanaryProcedure:     {tenant.ActionPublish, ofGraph},
	tandemv1connect.ReleaseServicePromoteCanaryProcedure: {tenant.ActionPublish, ofGraph},
	tandemv1connect.ReleaseServiceAbortCanaryProcedure:   {tenant.ActionPublish, ofGraph},
	tandemv1connect.ReleaseServiceListReleasesProcedure:  {tenant.ActionView, ofGraph},
	tandemv1connect.ReleaseServiceGetReleaseProcedure:    {tenant.ActionView, graphNamed},
	tandemv1connect.ReleaseServiceDiffReleasesProcedure:  {tenant.ActionView, ofGraph},

	tandemv1connect.TagServiceSetTagProcedure:    {tenant.ActionPublish, tagOf},
	tandemv1connect.TagServiceDeleteTagProcedure: {tenant.ActionPublish, tagOf},
	tandemv1connect.TagServiceListTagsProcedure:  {tenant.ActionView, tagsOf},

	tandemv1connect.RecordServiceListRecordsProcedure: {tenant.ActionView, recordsOf},

	tandemv1connect.ServerServiceGetServerInfoProcedure: {anyRole, byHandler},
	tandemv1connect.ServerServiceGetPlanProcedure:       {tenant.ActionView, byHandler},

	tandemv1connect.TenantServiceCreateTenantProcedure:    {tenant.ActionOperate, nil},
	tandemv1connect.TenantServiceListTenantsProcedure:     {tenant.ActionOperate, nil},
	tandemv1connect.TenantServiceSetTenantLimitsProcedure: {tenant.ActionOperate, nil},
	tandemv1connect.TenantServiceSuspendTenantProcedure:   {tenant.ActionOperate, nil},
	tandemv1connect.TenantServiceResumeTenantProcedure:    {tenant.ActionOperate, nil},
	tandemv1connect.TenantServiceDeleteTenantProcedure:    {tenant.ActionOperate, nil},
	tandemv1connect.TenantServiceGetTenantProcedure:       {tenant.ActionManage, nil},
	tandemv1connect.TenantServiceCreateKeyProcedure:       {tenant.ActionManage, nil},
	tandemv1connect.TenantServiceListKeysProcedure:        {tenant.ActionManage, nil},
	tandemv1connect.TenantServiceRotateKeyProcedure:       {tenant.ActionManage, nil},
	tandemv1connect.TenantServiceRevokeKeyProcedure:       {tenant.ActionManage, nil},
	tandemv1connect.TenantServiceGetUsageProcedure:        {tenant.ActionManage, nil},
	tandemv1connect.TenantServiceListChangesProcedure:     {tenant.ActionManage, nil},
}

// anyRole lets every caller with a valid credential in.
const anyRole tenant.Action = ""

// authenticate finds out who calls and whether they may, before a body is read. Who may not is told so a little later; found is told
// of who has a valid credential.
func authenticate(auth *tenant.Authenticator, found func(context.Context)) connect.ServerInterceptor {
	refused := newRefusals()
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			header := ""
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				header = info.RequestHeader().Get("Authorization")
			}
			if header == "" {
				refused.wait(ctx)
				return errNoKey
			}
			entered, leave, err := auth.Enter(ctx, header)
			if err != nil {
				refused.wait(ctx)
				return err
			}
			ctx = entered
			defer leave()
			found(ctx)
			access, known := procedures[spec.Procedure]
			if !known {
				return tenant.ErrDenied
			}
			if access.action != anyRole {
				if _, err := tenant.Require(ctx, access.action); err != nil {
					return err
				}
			}
			return ended(ctx, next(ctx, spec, stream))
		}
	}
}

// ended returns why a call failed that ended because its credential did.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err != nil && (errors.Is(cause, tenant.ErrUnauthenticated) || errors.Is(cause, tenant.ErrSuspended)) {
		return cause
	}
	return err
}
