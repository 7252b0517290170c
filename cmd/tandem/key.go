package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make a key and print it, for the only time."`
	List   keyListCmd   `cmd:"" help:"List the keys of a tenant, without their secrets."`
	Rotate keyRotateCmd `cmd:"" help:"Make a new key like an old one, which stops at once or after a while."`
	Revoke keyRevokeCmd `cmd:"" help:"Refuse a key from now on and end the calls that run under it."`
}

// ofTenant chooses the tenant that a command is about.
type ofTenant struct {
	Tenant string `help:"Tenant. Default: the key's own; another one needs an admin of \"default\"." placeholder:"NAME"`
}

type keyCreateCmd struct {
	ofTenant
	output
	Name     string        `arg:"" optional:"" help:"Name for people, as ci."`
	Role     string        `help:"What it may do: admin, publisher, caller or viewer." enum:"admin,publisher,caller,viewer" default:"caller"`
	Graph    []string      `help:"Keep the role to this graph, and to models and plugins that are named after it, as GRAPH.NAME; may be given several times. Not for the role admin." placeholder:"NAME"`
	Lifetime time.Duration `help:"How long it lives, as 720h. Default: for ever." placeholder:"DURATION"`
}

// Run makes the key.
func (c *keyCreateCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	req := &tandemv1.CreateKeyRequest{
		Tenant: c.Tenant, Name: c.Name, Role: tandemv1.Role(tandemv1.Role_value["ROLE_"+strings.ToUpper(c.Role)]), Graphs: c.Graph,
	}
	if c.Lifetime > 0 {
		req.Lifetime = durationpb.New(c.Lifetime)
	}
	res, err := cl.Tenants.CreateKey(ctx, req)
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return e.printNewKey(res.GetPlain())
}

// printNewKey prints the key alone to the output, so that it can go into a file, and the rest beside it.
func (e *env) printNewKey(plain string) error {
	_, _ = fmt.Fprintln(e.err, "This key is shown once; keep it where only its user can read it.")
	return e.say("%s\n", plain)
}

type keyListCmd struct {
	ofTenant
	output
}

// Run lists the keys.
func (c *keyListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Tenants.ListKeys(ctx, &tandemv1.ListKeysRequest{Tenant: c.Tenant})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	t := e.table("ID", "NAME", "ROLE", "GRAPHS", "MADE", "EXPIRES", "LAST USED")
	for _, k := range res.GetKeys() {
		graphs, expires, used := "all", "never", "never"
		if len(k.GetGraphs()) > 0 {
			graphs = strings.Join(k.GetGraphs(), ",")
		}
		if k.GetExpireTime() != nil {
			expires = when(k.GetExpireTime())
		}
		if k.GetLastUseTime() != nil {
			used = when(k.GetLastUseTime())
		}
		t.row(k.GetId(), k.GetName(), strings.ToLower(strings.TrimPrefix(k.GetRole().String(), "ROLE_")), graphs,
			when(k.GetCreateTime()), expires, used)
	}
	return t.flush()
}

type keyRotateCmd struct {
	ofTenant
	ID    string        `arg:"" help:"Public part of the key, as \"tandem key list\" shows it."`
	Grace time.Duration `help:"How long the old key goes on, as 24h. Default: it stops at once." placeholder:"DURATION"`
}

// Run rotates the key.
func (c *keyRotateCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Tenants.RotateKey(ctx, &tandemv1.RotateKeyRequest{Tenant: c.Tenant, Id: c.ID, Grace: durationpb.New(c.Grace)})
	if err != nil {
		return err
	}
	return e.printNewKey(res.GetPlain())
}

type keyRevokeCmd struct {
	ofTenant
	ID string `arg:"" help:"Public part of the key, as \"tandem key list\" shows it."`
}

// Run revokes the key.
func (c *keyRevokeCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	if _, err := cl.Tenants.RevokeKey(ctx, &tandemv1.RevokeKeyRequest{Tenant: c.Tenant, Id: c.ID}); err != nil {
		return err
	}
	return e.say("key %s is revoked\n", c.ID)
}
