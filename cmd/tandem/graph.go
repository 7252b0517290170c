package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize/english"
	"google.golang.org/protobuf/proto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type graphCmd struct {
	Validate graphValidateCmd    `cmd:"" help:"Check a graph against the server's models and plugins; nothing is kept."`
	Publish  graphPublishCmd     `cmd:"" help:"Publish a graph: it becomes the release that calls go to."`
	List     graphListCmd        `cmd:"" help:"List the graphs."`
	Show     graphShowCmd        `cmd:"" help:"Show a graph: inputs, outputs, what it runs, its document."`
	Tag      tagCmd[graphKind]   `cmd:"" help:"Give a release of a graph a tag, or move one."`
	Untag    untagCmd[graphKind] `cmd:"" help:"Remove a tag of a graph."`
	Tags     tagsCmd[graphKind]  `cmd:"" help:"List the tags of a graph."`
	Delete   graphDeleteCmd      `cmd:"" help:"Delete a graph with all its releases, or one of them."`
}

type graphValidateCmd struct {
	output
	form
	File string `arg:"" help:"Graph: YAML, JSON, or a GraphDocument message in a file that ends in .binpb; - is standard input."`
}

// Run prints every fault with its line.
func (c *graphValidateCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	doc, err := e.document(c.File)
	if err != nil {
		return err
	}
	res, err := cl.Graphs.ValidateGraph(ctx, &tandemv1.ValidateGraphRequest{Document: doc.text, Definition: doc.message, Form: c.wanted()})
	if err != nil {
		return err
	}
	if c.json() {
		if err := e.printJSON(res); err != nil {
			return err
		}
	} else if len(res.GetFaults()) == 0 {
		if c.As != "" {
			return c.print(e, res.GetWritten(), res.GetDefinition())
		}
		return e.say("graph %s is valid: %d inputs, %d outputs\n", res.GetGraph().GetName(), len(res.GetGraph().GetInputs()), len(res.GetGraph().GetOutputs()))
	} else {
		printFaults(e.err, c.File, doc.text, res.GetFaults())
	}
	if len(res.GetFaults()) > 0 {
		return fmt.Errorf("%w: %w", errSaid, &invalidError{"the graph has faults"})
	}
	return nil
}

// printFaults prints each fault under the line that it is in.
func printFaults(w io.Writer, file, doc string, faults []*tandemv1.Fault) {
	lines := strings.Split(doc, "\n")
	for _, f := range faults {
		_, _ = fmt.Fprintf(w, "%s:%s\n", file, faultLine(f))
		if n := int(f.GetLine()); n > 0 && n <= len(lines) {
			_, _ = fmt.Fprintf(w, "  %4d | %s\n       | %s^\n", n, lines[n-1], indent(lines[n-1], int(f.GetColumn())))
		}
	}
	_, _ = fmt.Fprintln(w, english.Plural(len(faults), "fault", ""))
}

// indent returns the white space that leads to a column of line; tabs stay tabs, so that both lines align.
func indent(line string, column int) string {
	var b strings.Builder
	for i, r := range line {
		if i >= column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

type graphPublishCmd struct {
	output
	File   string  `arg:"" help:"Graph: YAML, JSON, or a GraphDocument message in a file that ends in .binpb; - is standard input."`
	Stage  bool    `help:"Keep the current release. The new one is called as name@version, or once it is the canary or rolled out."`
	Canary float64 `help:"Stage it and give it this part of the calls, in percent." placeholder:"PERCENT"`
}

// Run publishes the graph.
func (c *graphPublishCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	if c.Canary < 0 || c.Canary > 100 {
		return usagef("--canary %v: want more than 0 and at most 100", c.Canary)
	}
	doc, err := e.document(c.File)
	if err != nil {
		return err
	}
	res, err := cl.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: doc.text, Definition: doc.message, Stage: c.Stage || c.Canary > 0})
	if d := client.Detail(err); d.GetReason() == tandemv1.Reason_REASON_GRAPH_INVALID {
		printFaults(e.err, c.File, doc.text, d.GetFaults())
		return fmt.Errorf("%w: %w", errSaid, &invalidError{"the graph has faults"})
	}
	if err != nil {
		return err
	}
	g := res.GetGraph()
	if c.json() {
		err = e.printJSON(res)
	} else {
		staged := ""
		if !res.GetCurrent() {
			staged = "  staged"
		}
		err = e.say("graph %s@%d  %s%s\n", g.GetName(), g.GetVersion(), g.GetDigest(), staged)
	}
	if err != nil || c.Canary == 0 || res.GetCurrent() {
		return err
	}
	moved, err := cl.Releases.SetCanary(ctx, &tandemv1.SetCanaryRequest{Graph: g.GetName(), Release: fmt.Sprint(g.GetVersion()), Percent: c.Canary})
	if err != nil || c.json() {
		return err
	}
	return e.moved(moved.GetWas(), moved.GetNow())
}

type graphListCmd struct{ output }

// Run lists the graphs.
func (c *graphListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	var all []*tandemv1.Graph
	for token := ""; ; {
		res, err := cl.Graphs.ListGraphs(ctx, &tandemv1.ListGraphsRequest{PageSize: 1000, PageToken: token})
		if err != nil {
			return err
		}
		all = append(all, res.GetGraphs()...)
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if c.json() {
		return e.printJSON(&tandemv1.ListGraphsResponse{Graphs: all})
	}
	t := e.table("NAME", "RELEASE", "PUBLISHED", "RUNS", "DIGEST")
	for _, g := range all {
		t.row(g.GetName(), g.GetVersion(), when(g.GetCreateTime()), len(g.GetPins()), short(g.GetDigest()))
	}
	return t.flush()
}

type graphShowCmd struct {
	output
	form
	Name string `arg:"" help:"Name or name@version."`
}

// Run shows one graph.
func (c *graphShowCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Graphs.GetGraph(ctx, &tandemv1.GetGraphRequest{Name: c.Name, Form: c.wanted()})
	switch {
	case err != nil:
		return err
	case c.As != "":
		return c.print(e, res.GetWritten(), res.GetDefinition())
	case c.json():
		return e.printJSON(res.GetGraph())
	}
	return showGraph(e, proto.CloneOf(res.GetGraph()))
}

func showGraph(e *env, g *tandemv1.Graph) error {
	t := e.table()
	t.row("graph", fmt.Sprintf("%s@%d", g.GetName(), g.GetVersion()))
	t.row("digest", g.GetDigest())
	t.row("published", when(g.GetCreateTime()))
	for _, p := range g.GetInputs() {
		t.row("input", p.GetName(), p.GetType()+optional(p.GetOptional()))
	}
	for _, p := range g.GetOutputs() {
		t.row("output", p.GetName(), p.GetType())
	}
	for _, p := range g.GetPins() {
		t.row("runs", fmt.Sprintf("%s %s@%d", p.GetKind(), p.GetName(), p.GetVersion()), short(p.GetDigest()))
	}
	if err := t.flush(); err != nil {
		return err
	}
	return e.say("\n%s", g.GetDocument())
}

type graphDeleteCmd struct {
	Name string `arg:"" help:"Name of the graph, or name@version or name@tag for one release."`
}

// Run deletes the graph.
func (c *graphDeleteCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Graphs.DeleteGraph(ctx, &tandemv1.DeleteGraphRequest{Name: c.Name})
	if err != nil {
		return err
	}
	return e.removed(graphKind{}, c.Name, res.GetVersions(), res.GetTags())
}
