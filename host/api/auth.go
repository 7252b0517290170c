package api

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// actions says what a caller must be allowed to do for each procedure. A procedure that is not here is refused.
var actions = map[string]tenant.Action{
	tandemv1connect.InferenceServiceInferProcedure:       tenant.ActionCall,
	tandemv1connect.InferenceServiceInferStreamProcedure: tenant.ActionCall,

	tandemv1connect.ModelServiceBeginModelUploadProcedure:  tenant.ActionPublish,
	tandemv1connect.ModelServicePutModelChunkProcedure:     tenant.ActionPublish,
	tandemv1connect.ModelServiceFinishModelUploadProcedure: tenant.ActionPublish,
	tandemv1connect.ModelServiceDeleteModelProcedure:       tenant.ActionPublish,
	tandemv1connect.ModelServiceGetModelProcedure:          tenant.ActionView,
	tandemv1connect.ModelServiceListModelsProcedure:        tenant.ActionView,

	tandemv1connect.PluginServiceBeginPluginUploadProcedure:  tenant.ActionPublish,
	tandemv1connect.PluginServicePutPluginChunkProcedure:     tenant.ActionPublish,
	tandemv1connect.PluginServiceFinishPluginUploadProcedure: tenant.ActionPublish,
	tandemv1connect.PluginServiceDeletePluginProcedure:       tenant.ActionPublish,
	tandemv1connect.PluginServiceGetPluginProcedure:          tenant.ActionView,
	tandemv1connect.PluginServiceListPluginsProcedure:        tenant.ActionView,

	tandemv1connect.GraphServicePublishGraphProcedure:  tenant.ActionPublish,
	tandemv1connect.GraphServiceDeleteGraphProcedure:   tenant.ActionPublish,
	tandemv1connect.GraphServiceValidateGraphProcedure: tenant.ActionView,
	tandemv1connect.GraphServiceGetGraphProcedure:      tenant.ActionDescribe,
	tandemv1connect.GraphServiceListGraphsProcedure:    tenant.ActionView,

	tandemv1connect.ReleaseServiceRollbackProcedure:      tenant.ActionPublish,
	tandemv1connect.ReleaseServiceSetCanaryProcedure:     tenant.ActionPublish,
	tandemv1connect.ReleaseServicePromoteCanaryProcedure: tenant.ActionPublish,
	tandemv1connect.ReleaseServiceAbortCanaryProcedure:   tenant.ActionPublish,
	tandemv1connect.ReleaseServiceListReleasesProcedure:  tenant.ActionView,
	tandemv1connect.ReleaseServiceGetReleaseProcedure:    tenant.ActionView,
	tandemv1connect.ReleaseServiceDiffReleasesProcedure:  tenant.ActionView,

	tandemv1connect.TagServiceSetTagProcedure:    tenant.ActionPublish,
	tandemv1connect.TagServiceDeleteTagProcedure: tenant.ActionPublish,
	tandemv1connect.TagServiceListTagsProcedure:  tenant.ActionView,

	tandemv1connect.RecordServiceListRecordsProcedure: tenant.ActionView,

	tandemv1connect.ServerServiceGetServerInfoProcedure: anyRole,
	tandemv1connect.ServerServiceGetPlanProcedure:       tenant.ActionView,

	tandemv1connect.TenantServiceCreateTenantProcedure:    tenant.ActionOperate,
	tandemv1connect.TenantServiceListTenantsProcedure:     tenant.ActionOperate,
	tandemv1connect.TenantServiceSetTenantLimitsProcedure: tenant.ActionOperate,
	tandemv1connect.TenantServiceSuspendTenantProcedure:   tenant.ActionOperate,
	tandemv1connect.TenantServiceResumeTenantProcedure:    tenant.ActionOperate,
	tandemv1connect.TenantServiceDeleteTenantProcedure:    tenant.ActionOperate,
	tandemv1connect.TenantServiceGetTenantProcedure:       tenant.ActionManage,
	tandemv1connect.TenantServiceCreateKeyProcedure:       tenant.ActionManage,
	tandemv1connect.TenantServiceListKeysProcedure:        tenant.ActionManage,
	tandemv1connect.TenantServiceRotateKeyProcedure:       tenant.ActionManage,
	tandemv1connect.TenantServiceRevokeKeyProcedure:       tenant.ActionManage,
	tandemv1connect.TenantServiceGetUsageProcedure:        tenant.ActionManage,
	tandemv1connect.TenantServiceListChangesProcedure:     tenant.ActionManage,
}

// anyRole lets every caller with a valid credential in.
const anyRole tenant.Action = ""

// authenticate finds out who calls and whether they may, before a body is read.
func authenticate(auth *tenant.Authenticator) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			header := ""
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				header = info.RequestHeader().Get("Authorization")
			}
			if header == "" {
				return errNoKey
			}
			ctx, leave, err := auth.Enter(ctx, header)
			if err != nil {
				return err
			}
			defer leave()
			action, known := actions[spec.Procedure]
			if !known {
				return tenant.ErrDenied
			}
			if action != anyRole {
				if _, err := tenant.Require(ctx, action); err != nil {
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
