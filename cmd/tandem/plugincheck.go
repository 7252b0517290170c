package main

import (
	"context"
	"errors"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

type pluginCheckCmd struct {
	output
	File string `arg:"" help:"WebAssembly module." type:"existingfile"`
}

// Run puts the module through the admission of a server's sandbox, in this program, and prints its description.
func (c *pluginCheckCmd) Run(ctx context.Context, e *env) (err error) {
	p, err := e.openLocal(ctx, c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	if c.json() {
		return e.printDocument(p.Description())
	}
	if err := printDescription(e, p.Description()); err != nil {
		return err
	}
	return e.say("admitted: %s, %s, checked and compiled in %s\n", humanize.IBytes(uint64(p.size)),
		english.Plural(len(p.Description().Functions), "function", ""), p.loaded.Round(time.Millisecond))
}

// printDescription prints a description as plugin show does.
func printDescription(e *env, d abi.Description) error {
	t := e.table()
	t.row("plugin", d.Name+" "+d.Version, d.Doc)
	for _, f := range d.Functions {
		t.row("function", f.Name, f.Doc)
		for _, side := range []struct {
			label string
			ports []abi.Port
		}{{"  input", f.Inputs}, {"  output", f.Outputs}} {
			types, err := graph.PluginPorts(side.ports)
			if err != nil {
				return err
			}
			for _, port := range types {
				t.row(side.label, port.Name, port.Type.String()+optional(port.Optional))
			}
		}
		if len(f.With) > 0 {
			t.row("  with", string(f.With))
		}
	}
	return t.flush()
}
