package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// streams is what a command reads and writes.
type streams struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string
}

// cli is the command line.
type cli struct {
	Connection

	Serve   serveCmd   `cmd:"" help:"Run a server until it is interrupted."`
	Model   modelCmd   `cmd:"" help:"Push, list, show, tag and delete models."`
	Plugin  pluginCmd  `cmd:"" help:"Begin, build, check, run and measure plugins; push, list, show, tag and delete them."`
	Graph   graphCmd   `cmd:"" help:"Validate, publish, list, show, tag and delete graphs."`
	Release releaseCmd `cmd:"" help:"List, show, compare and roll back the releases of a graph; run canaries."`
	Infer   inferCmd   `cmd:"" help:"Call a graph."`
	Records recordsCmd `cmd:"" help:"List what plugins recorded."`
	Plan    planCmd    `cmd:"" help:"Show who has which cores, threads and memory, and why."`
	Tenant  tenantCmd  `cmd:"" help:"Make, limit, suspend and delete tenants; needs an admin of the tenant \"default\"."`
	Key     keyCmd     `cmd:"" help:"Make, list, rotate and revoke API keys."`
	Usage   usageCmd   `cmd:"" help:"Show what a tenant used in a range of time."`
	Audit   auditCmd   `cmd:"" help:"List who changed what."`
	Version versionCmd `cmd:"" help:"Print the version of this program, and of the server when one can be reached."`
}

// env is what every command gets.
type env struct {
	streams
	conn *Connection
}

const description = `Tandem serves graphs of ONNX models and WebAssembly plugins.

A command finds its server by --server and --key, or TANDEM_SERVER and TANDEM_KEY, or a file with "server: URL" and
"key: KEY" lines (--config, TANDEM_CONFIG, or tandem/config.yaml in your configuration folder), or the data folder of a
server on this machine (--data, by default ./data).

Exit codes: 0 done; 1 failed; 2 wrong command line; 3 the server cannot be reached; 4 refused (key or role); 5 not found;
6 invalid input, graph, model or plugin; 7 out of time; 8 a limit was exceeded.`

// run parses and runs one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	if code, asked := child(ctx, args, s); asked {
		return code
	}
	var c cli
	e := &env{streams: s, conn: &c.Connection}
	exit := -1
	parser, err := kong.New(&c, kong.Name("tandem"), kong.Description(description), kong.UsageOnError(),
		kong.Writers(s.out, s.err), kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.Vars{"listen": defaultListen}, kong.Bind(e), kong.BindToProvider(e.client))
	if err != nil {
		_, _ = fmt.Fprintln(s.err, "tandem:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if exit >= 0 {
		return exit // help was asked for
	}
	if err != nil {
		_, _ = fmt.Fprintf(s.err, "tandem: %v\nRun \"tandem --help\" or \"tandem COMMAND --help\".\n", err)
		return exitUsage
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	err = kctx.Run()
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errSaid) {
		printError(s.err, err)
	}
	return exitCode(err)
}
