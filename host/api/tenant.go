package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/quota"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

type tenants struct{ *handler }

// about returns the tenant that a call is about: the caller's own when name is "". Whoever does not administer the server
// learns nothing of others, not even whether they are there.
func (h *handler) about(ctx context.Context, name string) (tenant.ID, error) {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return "", err
	}
	id := tenant.ID(name)
	if id == "" || id == p.Tenant {
		return p.Tenant, nil
	}
	if !p.Can(tenant.ActionOperate) {
		return "", tenant.ErrDenied
	}
	return id, tenant.CheckID(id)
}

// CreateTenant implements tandemv1connect.TenantServiceHandler.
func (h tenants) CreateTenant(ctx context.Context, req *tandemv1.CreateTenantRequest) (*tandemv1.CreateTenantResponse, error) {
	t, err := h.cfg.Control.CreateTenant(ctx, tenant.ID(req.GetName()), limitsFrom(req.GetLimits()))
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{
		tenant: tenant.Default, action: "CreateTenant", kind: "tenant", name: req.GetName(), after: digestOfRecord(t),
	}); err != nil {
		return nil, err
	}
	out, err := h.tenantTo(ctx, t)
	return &tandemv1.CreateTenantResponse{Tenant: out}, err
}

// GetTenant implements tandemv1connect.TenantServiceHandler.
func (h tenants) GetTenant(ctx context.Context, req *tandemv1.GetTenantRequest) (*tandemv1.GetTenantResponse, error) {
	id, err := h.about(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	t, err := h.cfg.Catalog.GetTenant(ctx, id)
	if err != nil {
		return nil, err
	}
	out, err := h.tenantTo(ctx, t)
	return &tandemv1.GetTenantResponse{Tenant: out}, err
}

// ListTenants implements tandemv1connect.TenantServiceHandler.
func (h tenants) ListTenants(ctx context.Context, _ *tandemv1.ListTenantsRequest) (*tandemv1.ListTenantsResponse, error) {
	ts, err := h.cfg.Catalog.ListTenants(ctx)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListTenantsResponse{}
	for _, t := range ts {
		res.Tenants = append(res.Tenants, briefTo(t))
	}
	return res, nil
}

// SetTenantLimits implements tandemv1connect.TenantServiceHandler.
func (h tenants) SetTenantLimits(ctx context.Context, req *tandemv1.SetTenantLimitsRequest) (*tandemv1.SetTenantLimitsResponse, error) {
	was, t, err := h.cfg.Control.SetLimits(ctx, tenant.ID(req.GetName()), limitsFrom(req.GetLimits()))
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{
		tenant: t.ID, action: "SetTenantLimits", kind: "tenant", name: req.GetName(), before: digestOfRecord(was), after: digestOfRecord(t),
	}); err != nil {
		return nil, err
	}
	out, err := h.tenantTo(ctx, t)
	return &tandemv1.SetTenantLimitsResponse{Tenant: out}, err
}

// SuspendTenant implements tandemv1connect.TenantServiceHandler.
func (h tenants) SuspendTenant(ctx context.Context, req *tandemv1.SuspendTenantRequest) (*tandemv1.SuspendTenantResponse, error) {
	out, err := h.suspend(ctx, req.GetName(), true)
	return &tandemv1.SuspendTenantResponse{Tenant: out}, err
}

// ResumeTenant implements tandemv1connect.TenantServiceHandler.
func (h tenants) ResumeTenant(ctx context.Context, req *tandemv1.ResumeTenantRequest) (*tandemv1.ResumeTenantResponse, error) {
	out, err := h.suspend(ctx, req.GetName(), false)
	return &tandemv1.ResumeTenantResponse{Tenant: out}, err
}

func (h tenants) suspend(ctx context.Context, name string, suspended bool) (*tandemv1.Tenant, error) {
	was, t, err := h.cfg.Control.Suspend(ctx, tenant.ID(name), suspended)
	if err != nil {
		return nil, err
	}
	h.recheck(ctx)
	action := "ResumeTenant"
	if suspended {
		action = "SuspendTenant"
	}
	if err := h.changed(ctx, change{
		tenant: t.ID, action: action, kind: "tenant", name: name, before: digestOfRecord(was), after: digestOfRecord(t),
	}); err != nil {
		return nil, err
	}
	return briefTo(t), nil
}

// DeleteTenant implements tandemv1connect.TenantServiceHandler. What is left of the work when the call ends is done at the
// next start. The entry in the audit log is not the tenant's, whose own go with it, but stays with who administers the server.
func (h tenants) DeleteTenant(ctx context.Context, req *tandemv1.DeleteTenantRequest) (*tandemv1.DeleteTenantResponse, error) {
	id := tenant.ID(req.GetName())
	was, err := h.cfg.Control.MarkDeleted(ctx, id)
	if err != nil {
		return nil, err
	}
	h.recheck(ctx)
	if err := h.changed(ctx, change{
		tenant: tenant.Default, action: "DeleteTenant", kind: "tenant", name: req.GetName(), before: digestOfRecord(was),
	}); err != nil {
		return nil, err
	}
	if err := h.cfg.Auth.Drain(ctx, id); err != nil {
		return nil, err
	}
	if err := h.cfg.Engine.EndShadows(ctx, id); err != nil { // none begins without a call
		return nil, err
	}
	return &tandemv1.DeleteTenantResponse{}, h.cfg.Control.RemoveTenant(ctx, id)
}

// briefTo writes a tenant as it stands in lists.
func briefTo(t tenant.Tenant) *tandemv1.Tenant {
	out := &tandemv1.Tenant{Name: string(t.ID), Suspended: t.Suspended, Deleting: t.Deleting}
	if !t.CreatedAt.IsZero() {
		out.CreateTime = timestamppb.New(t.CreatedAt)
	}
	return out
}

// tenantTo writes a tenant with its limits and what it uses.
func (h *handler) tenantTo(ctx context.Context, t tenant.Tenant) (*tandemv1.Tenant, error) {
	held, err := h.cfg.Control.DiskUse(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	out := briefTo(t)
	out.Limits = limitsTo(t.Effective())
	out.Use = useTo(h.cfg.Door.Use(t.ID), held)
	models := h.cfg.Control.ModelUse(t.ID)
	out.Use.LoadedModels, out.Use.ModelMemoryBytes = models.Models, models.Bytes
	out.Use.PluginMemoryBytes = h.cfg.Control.PluginMemory(t.ID)
	return out, nil
}

func useTo(u quota.Use, held control.DiskUse) *tandemv1.TenantUse {
	return &tandemv1.TenantUse{
		RequestsPerSecond: u.RequestsPerSecond, InFlight: u.InFlight, BytesInFlight: u.BytesInFlight, FuelPerSecond: u.FuelPerSecond,
		RecordsPerSecond: u.RecordsPerSecond, UploadBytesPerSecond: u.UploadBytesPerSecond,
		BlobBytes: held.Bytes, Objects: held.Objects,
	}
}

func limitsFrom(l *tandemv1.TenantLimits) tenant.Limits {
	return tenant.Limits{
		RequestsPerSecond: l.GetRequestsPerSecond(), InFlight: l.GetInFlight(), BytesInFlight: l.GetBytesInFlight(),
		PluginMemoryBytes: l.GetPluginMemoryBytes(), FuelPerSecond: l.GetFuelPerSecond(), LoadedModels: l.GetLoadedModels(),
		ModelMemoryBytes: l.GetModelMemoryBytes(), BlobBytes: l.GetBlobBytes(), Objects: l.GetObjects(),
		RecordsPerSecond: l.GetRecordsPerSecond(), UploadBytesPerSecond: l.GetUploadBytesPerSecond(),
	}
}

func limitsTo(l tenant.Limits) *tandemv1.TenantLimits {
	return &tandemv1.TenantLimits{
		RequestsPerSecond: l.RequestsPerSecond, InFlight: l.InFlight, BytesInFlight: l.BytesInFlight,
		PluginMemoryBytes: l.PluginMemoryBytes, FuelPerSecond: l.FuelPerSecond, LoadedModels: l.LoadedModels,
		ModelMemoryBytes: l.ModelMemoryBytes, BlobBytes: l.BlobBytes, Objects: l.Objects,
		RecordsPerSecond: l.RecordsPerSecond, UploadBytesPerSecond: l.UploadBytesPerSecond,
	}
}
