package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type usageCmd struct {
	ofTenant
	output
	Since time.Duration `help:"How far back." default:"24h" placeholder:"DURATION"`
	Step  time.Duration `help:"What one row adds up, as 1h. Default: all in one row." placeholder:"DURATION"`
}

// Run shows what was used.
func (c *usageCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	now := time.Now()
	req := &tandemv1.GetUsageRequest{Tenant: c.Tenant, From: timestamppb.New(now.Add(-c.Since)), To: timestamppb.New(now)}
	if c.Step > 0 {
		req.Step = durationpb.New(c.Step)
	}
	res, err := cl.Tenants.GetUsage(ctx, req)
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	t := e.table("FROM", "REQUESTS", "FAILED", "FUEL", "COMPUTE", "IN", "OUT", "RECORDS")
	for _, u := range append(res.GetRows(), res.GetTotal()) {
		from := when(u.GetFrom())
		if u == res.GetTotal() && len(res.GetRows()) > 0 {
			from = "total"
		}
		t.row(from, humanize.Comma(int64(u.GetRequests())), humanize.Comma(int64(u.GetFailed())),
			strings.TrimSpace(humanize.SIWithDigits(float64(u.GetFuel()), 1, "")), u.GetCompute().AsDuration().Round(time.Millisecond).String(),
			humanize.IBytes(uint64(u.GetBytesIn())), humanize.IBytes(uint64(u.GetBytesOut())), strconv.FormatUint(u.GetRecords(), 10))
	}
	return t.flush()
}

type auditCmd struct {
	ofTenant
	output
	All   bool          `help:"The changes of all tenants; needs an admin of \"default\"."`
	Since time.Duration `help:"Only changes of the last so long, as 24h. Default: all that are kept." placeholder:"DURATION"`
	Limit int           `short:"n" help:"Most changes to list." default:"1000"`
}

// Run lists changes, oldest first.
func (c *auditCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	req := &tandemv1.ListChangesRequest{Tenant: c.Tenant}
	if c.All {
		req.Tenant = "*"
	}
	if c.Since > 0 {
		req.Since = timestamppb.New(time.Now().Add(-c.Since))
	}
	all := &tandemv1.ListChangesResponse{}
	for left := c.Limit; left > 0; left = c.Limit - len(all.GetChanges()) {
		req.PageSize = int32(min(left, 1000))
		res, err := cl.Tenants.ListChanges(ctx, req)
		if err != nil {
			return err
		}
		all.Changes = append(all.Changes, res.GetChanges()...)
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if c.json() {
		return e.printJSON(all)
	}
	t := e.table("TIME", "TENANT", "WHO", "ACTION", "WHAT", "BEFORE", "AFTER")
	for _, ch := range all.GetChanges() {
		t.row(when(ch.GetTime()), ch.GetTenant(), ch.GetActor(), ch.GetAction(), ch.GetKind()+" "+ch.GetName(),
			orDash(ch.GetBefore()), orDash(ch.GetAfter()))
	}
	return t.flush()
}

func orDash(digest string) string {
	if digest == "" {
		return "-"
	}
	return short(digest)
}
