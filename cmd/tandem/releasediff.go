package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type releaseDiffCmd struct {
	output
	Graph string `arg:"" help:"Name of the graph."`
	From  string `arg:"" optional:"" default:"previous" help:"Version or tag of the older side. Default: the release that a roll-back goes to."`
	To    string `arg:"" optional:"" default:"current" help:"Version or tag of the newer side. Default: the current release."`
}

// Run compares two releases.
func (c *releaseDiffCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Releases.DiffReleases(ctx, &tandemv1.DiffReleasesRequest{Graph: c.Graph, From: c.From, To: c.To})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	return printDiff(e, res, isTerminal(e.out) && e.getenv("NO_COLOR") == "")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Colours of a terminal.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	cyan  = "\x1b[36m"
	bold  = "\x1b[1m"
	plain = "\x1b[0m"
)

// printDiff prints what the releases run differently and how their documents differ.
func printDiff(e *env, d *tandemv1.DiffReleasesResponse, colour bool) error {
	paint := func(code, line string) string {
		if !colour || code == "" {
			return line + "\n"
		}
		return code + line + plain + "\n"
	}
	from, to := d.GetFrom().GetGraph(), d.GetTo().GetGraph()
	var b strings.Builder
	b.WriteString(paint(bold, fmt.Sprintf("%s@%d (%s) and %s@%d (%s)", from.GetName(), from.GetVersion(), when(from.GetCreateTime()),
		to.GetName(), to.GetVersion(), when(to.GetCreateTime()))))
	if len(d.GetPins()) == 0 {
		b.WriteString("they run the same models, plugins and graphs\n")
	}
	for _, p := range d.GetPins() {
		if f := p.GetFrom(); f != nil {
			b.WriteString(paint(red, "- "+pinText(f)))
		}
		if t := p.GetTo(); t != nil {
			b.WriteString(paint(green, "+ "+pinText(t)))
		}
	}
	if d.GetDocument() == "" {
		b.WriteString("their documents are equal\n")
	}
	for i, line := range strings.Split(strings.TrimSuffix(d.GetDocument(), "\n"), "\n") {
		if d.GetDocument() == "" || i == 0 { // its heading names the sides once more
			continue
		}
		b.WriteString(paint(lineColour(line), line))
	}
	return e.say("%s", b.String())
}

func pinText(p *tandemv1.Pin) string {
	return fmt.Sprintf("%s %s@%d  %s", p.GetKind(), p.GetName(), p.GetVersion(), short(p.GetDigest()))
}

func lineColour(line string) string {
	switch {
	case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		return bold
	case strings.HasPrefix(line, "@@"):
		return cyan
	case strings.HasPrefix(line, "-"):
		return red
	case strings.HasPrefix(line, "+"):
		return green
	}
	return ""
}
