package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

var roleFrom = map[tandemv1.Role]tenant.Role{
	tandemv1.Role_ROLE_ADMIN: tenant.RoleAdmin, tandemv1.Role_ROLE_PUBLISHER: tenant.RolePublisher,
	tandemv1.Role_ROLE_CALLER: tenant.RoleCaller, tandemv1.Role_ROLE_VIEWER: tenant.RoleViewer,
}

var roleOf = func() map[tenant.Role]tandemv1.Role {
	m := make(map[tenant.Role]tandemv1.Role, len(roleFrom))
	for wire, role := range roleFrom {
		m[role] = wire
	}
	return m
}()

// CreateKey implements tandemv1connect.TenantServiceHandler.
func (h tenants) CreateKey(ctx context.Context, req *tandemv1.CreateKeyRequest) (*tandemv1.CreateKeyResponse, error) {
	id, err := h.about(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	p := tenant.KeyParams{Tenant: id, Name: req.GetName(), Role: roleFrom[req.GetRole()], Graphs: req.GetGraphs()}
	if req.GetLifetime() != nil {
		p.ExpiresAt = time.Now().Add(req.GetLifetime().AsDuration()).UTC()
	}
	k, plain, err := h.cfg.Control.CreateKey(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := h.changed(ctx, change{tenant: id, action: "CreateKey", kind: "key", name: k.ID, after: digestOfKey(k)}); err != nil {
		return nil, err
	}
	return &tandemv1.CreateKeyResponse{Key: keyTo(k, time.Time{}), Plain: plain}, nil
}

// ListKeys implements tandemv1connect.TenantServiceHandler.
func (h tenants) ListKeys(ctx context.Context, req *tandemv1.ListKeysRequest) (*tandemv1.ListKeysResponse, error) {
	id, err := h.about(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	ks, err := h.cfg.Control.Keys(ctx, id)
	if err != nil {
		return nil, err
	}
	res := &tandemv1.ListKeysResponse{}
	for _, k := range ks {
		res.Keys = append(res.Keys, keyTo(k.Key, k.LastUse))
	}
	return res, nil
}

// RotateKey implements tandemv1connect.TenantServiceHandler.
func (h tenants) RotateKey(ctx context.Context, req *tandemv1.RotateKeyRequest) (*tandemv1.RotateKeyResponse, error) {
	id, err := h.about(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	r, err := h.cfg.Control.RotateKey(ctx, id, req.GetId(), req.GetGrace().AsDuration())
	if err != nil {
		return nil, err
	}
	h.recheck(ctx)
	if err := h.changed(ctx, change{
		tenant: id, action: "RotateKey", kind: "key", name: r.Old.ID + " -> " + r.New.ID, before: digestOfKey(r.Old), after: digestOfKey(r.New),
	}); err != nil {
		return nil, err
	}
	return &tandemv1.RotateKeyResponse{Key: keyTo(r.New, time.Time{}), Plain: r.Plain}, nil
}

// RevokeKey implements tandemv1connect.TenantServiceHandler.
func (h tenants) RevokeKey(ctx context.Context, req *tandemv1.RevokeKeyRequest) (*tandemv1.RevokeKeyResponse, error) {
	id, err := h.about(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	k, err := h.cfg.Control.RevokeKey(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	h.recheck(ctx)
	if err := h.changed(ctx, change{tenant: id, action: "RevokeKey", kind: "key", name: k.ID, before: digestOfKey(k)}); err != nil {
		return nil, err
	}
	return &tandemv1.RevokeKeyResponse{}, nil
}

// recheck ends the calls that have lost their right to run, among them this very one when it took its own. It comes right after the
// change, whatever becomes of the audit log, and goes on when the caller has hung up.
func (h *handler) recheck(ctx context.Context) { h.cfg.Auth.Recheck(context.WithoutCancel(ctx)) }

func keyTo(k tenant.Key, used time.Time) *tandemv1.Key {
	out := &tandemv1.Key{
		Id: k.ID, Name: k.Name, Role: roleOf[k.Role], Graphs: k.Graphs, CreateTime: timestamppb.New(k.CreatedAt),
	}
	if !k.ExpiresAt.IsZero() {
		out.ExpireTime = timestamppb.New(k.ExpiresAt)
	}
	if !used.IsZero() {
		out.LastUseTime = timestamppb.New(used)
	}
	return out
}
