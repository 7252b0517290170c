package main

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type recordsCmd struct {
	List recordsListCmd `cmd:"" help:"List records, newest first."`
}

type recordsListCmd struct {
	output
	Stream string        `help:"Only this stream, as comparisons." placeholder:"NAME"`
	Graph  string        `help:"Only this graph." placeholder:"NAME"`
	Since  time.Duration `help:"Only records of the last so long, as 1h." placeholder:"DURATION"`
	Limit  int           `short:"n" help:"Most records to list." default:"20"`
}

// Run lists the records.
func (c *recordsListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	req := &tandemv1.ListRecordsRequest{Stream: c.Stream, Graph: c.Graph}
	if c.Since > 0 {
		req.Since = timestamppb.New(time.Now().Add(-c.Since))
	}
	all := &tandemv1.ListRecordsResponse{}
	for left := c.Limit; left > 0; left = c.Limit - len(all.GetRecords()) {
		req.PageSize = int32(min(left, 1000))
		res, err := cl.Records.ListRecords(ctx, req)
		if err != nil {
			return err
		}
		all.Records = append(all.Records, res.GetRecords()...)
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if c.json() {
		return e.printJSON(all)
	}
	t := e.table("TIME", "STREAM", "GRAPH", "NODE", "RECORD")
	for _, r := range all.GetRecords() {
		t.row(when(r.GetCreateTime()), r.GetStream(), r.GetGraph(), r.GetNode(), r.GetJson())
	}
	return t.flush()
}
