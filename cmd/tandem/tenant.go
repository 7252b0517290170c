package main

import (
	"context"
	"strconv"

	"github.com/dustin/go-humanize"
	"google.golang.org/protobuf/reflect/protoreflect"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type tenantCmd struct {
	Create  tenantCreateCmd  `cmd:"" help:"Make a tenant. It has no keys: make one with \"tandem key create --tenant NAME\"."`
	List    tenantListCmd    `cmd:"" help:"List the tenants."`
	Show    tenantShowCmd    `cmd:"" help:"Show a tenant: its limits and what it uses of them now."`
	Limit   tenantLimitCmd   `cmd:"" help:"Change limits of a tenant."`
	Suspend tenantSuspendCmd `cmd:"" help:"Refuse a tenant's keys and end its calls. What it owns stays."`
	Resume  tenantResumeCmd  `cmd:"" help:"Let a suspended tenant in again."`
	Delete  tenantDeleteCmd  `cmd:"" help:"Delete a tenant with everything that it owns."`
}

// limitFlags are the limits of a tenant, as far as they are given.
type limitFlags struct {
	Limit map[string]float64 `short:"l" help:"A limit, as in_flight=64; -1 is no limit, 0 the server's default. \"tandem tenant show\" lists their names." placeholder:"NAME=N"`
}

// apply sets the given limits in l.
func (f limitFlags) apply(l *tandemv1.TenantLimits) error {
	m := l.ProtoReflect()
	for name, v := range f.Limit {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return usagef("there is no limit %q; \"tandem tenant show\" lists them", name)
		}
		if fd.Kind() == protoreflect.DoubleKind {
			m.Set(fd, protoreflect.ValueOfFloat64(v))
		} else {
			m.Set(fd, protoreflect.ValueOfInt64(int64(v)))
		}
	}
	return nil
}

type tenantCreateCmd struct {
	Name string `arg:"" help:"Name: lower-case letters, digits and inner hyphens."`
	limitFlags
}

// Run makes the tenant.
func (c *tenantCreateCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	limits := &tandemv1.TenantLimits{}
	if err := c.apply(limits); err != nil {
		return err
	}
	res, err := cl.Tenants.CreateTenant(ctx, &tandemv1.CreateTenantRequest{Name: c.Name, Limits: limits})
	if err != nil {
		return err
	}
	return e.say("tenant %s made; give it a key: tandem key create --tenant %s --role admin\n", res.GetTenant().GetName(), c.Name)
}

type tenantListCmd struct{ output }

// Run lists the tenants.
func (c *tenantListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Tenants.ListTenants(ctx, &tandemv1.ListTenantsRequest{})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	t := e.table("NAME", "MADE", "STATE")
	for _, tn := range res.GetTenants() {
		t.row(tn.GetName(), when(tn.GetCreateTime()), stateOf(tn))
	}
	return t.flush()
}

func stateOf(t *tandemv1.Tenant) string {
	switch {
	case t.GetDeleting():
		return "being deleted"
	case t.GetSuspended():
		return "suspended"
	}
	return "active"
}

type tenantShowCmd struct {
	output
	Name string `arg:"" optional:"" help:"Name. Default: the key's own tenant."`
}

// Run shows the tenant.
func (c *tenantShowCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{Name: c.Name})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return e.printTenant(res.GetTenant())
}

func (e *env) printTenant(tn *tandemv1.Tenant) error {
	if err := e.say("tenant  %s\nmade    %s\nstate   %s\n\n", tn.GetName(), when(tn.GetCreateTime()), stateOf(tn)); err != nil {
		return err
	}
	limits, use := tn.GetLimits().ProtoReflect(), tn.GetUse().ProtoReflect()
	fields := limits.Descriptor().Fields()
	t := e.table("LIMIT", "USED NOW", "AT MOST")
	for i := range fields.Len() {
		fd := fields.Get(i)
		used := use.Descriptor().Fields().ByName(fd.Name())
		t.row(string(fd.Name()), amount(string(fd.Name()), use.Get(used)), amount(string(fd.Name()), limits.Get(fd)))
	}
	return t.flush()
}

// amount writes a number for people: bytes as MiB, others with their thousands apart, -1 as "no limit".
func amount(name string, v protoreflect.Value) string {
	var f float64
	switch n := v.Interface().(type) {
	case float64:
		f = n
	case int64:
		f = float64(n)
	}
	switch {
	case f < 0:
		return "no limit"
	case isBytes(name):
		return humanize.IBytes(uint64(f))
	case f >= 1e6:
		return humanize.SIWithDigits(f, 1, "")
	case f != float64(int64(f)):
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return humanize.Comma(int64(f))
}

func isBytes(name string) bool {
	switch name {
	case "bytes_in_flight", "plugin_memory_bytes", "model_memory_bytes", "blob_bytes", "upload_bytes_per_second":
		return true
	}
	return false
}

type tenantLimitCmd struct {
	Name string `arg:"" help:"Name of the tenant."`
	limitFlags
}

// Run changes the given limits and leaves the others.
func (c *tenantLimitCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	if len(c.Limit) == 0 {
		return usagef("give at least one --limit NAME=N")
	}
	now, err := cl.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{Name: c.Name})
	if err != nil {
		return err
	}
	limits := now.GetTenant().GetLimits()
	if err := c.apply(limits); err != nil {
		return err
	}
	res, err := cl.Tenants.SetTenantLimits(ctx, &tandemv1.SetTenantLimitsRequest{Name: c.Name, Limits: limits})
	if err != nil {
		return err
	}
	return e.printTenant(res.GetTenant())
}

type tenantSuspendCmd struct {
	Name string `arg:"" help:"Name of the tenant."`
}

// Run suspends the tenant.
func (c *tenantSuspendCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	if _, err := cl.Tenants.SuspendTenant(ctx, &tandemv1.SuspendTenantRequest{Name: c.Name}); err != nil {
		return err
	}
	return e.say("tenant %s is suspended\n", c.Name)
}

type tenantResumeCmd struct {
	Name string `arg:"" help:"Name of the tenant."`
}

// Run resumes the tenant.
func (c *tenantResumeCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	if _, err := cl.Tenants.ResumeTenant(ctx, &tandemv1.ResumeTenantRequest{Name: c.Name}); err != nil {
		return err
	}
	return e.say("tenant %s is active\n", c.Name)
}

type tenantDeleteCmd struct {
	Name string `arg:"" help:"Name of the tenant."`
	Yes  bool   `help:"Do it. Without it the command says what would go."`
}

// Run deletes the tenant.
func (c *tenantDeleteCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	if !c.Yes {
		res, err := cl.Tenants.GetTenant(ctx, &tandemv1.GetTenantRequest{Name: c.Name})
		if err != nil {
			return err
		}
		u := res.GetTenant().GetUse()
		return e.say("This would delete tenant %s with its keys, records, usage, %d models, plugins and graphs, and %s of blobs.\nSay --yes to do it.\n",
			c.Name, u.GetObjects(), humanize.IBytes(uint64(u.GetBlobBytes())))
	}
	if _, err := cl.Tenants.DeleteTenant(ctx, &tandemv1.DeleteTenantRequest{Name: c.Name}); err != nil {
		return err
	}
	return e.say("tenant %s is deleted\n", c.Name)
}
