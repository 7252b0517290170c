package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type pluginCmd struct {
	New    pluginNewCmd         `cmd:"" help:"Begin a plugin in a new folder: Go, C, C++, Rust, AssemblyScript or Zig."`
	Build  pluginBuildCmd       `cmd:"" help:"Build the plugin in a folder to a WebAssembly module, and check it."`
	Check  pluginCheckCmd       `cmd:"" help:"Check a module as a server would, without one, and show its functions."`
	Run    pluginRunCmd         `cmd:"" help:"Call one function of a module without a server, on files; show what it cost."`
	Bench  pluginBenchCmd       `cmd:"" help:"Measure whole calls of one function of a module, without a server."`
	Push   pluginPushCmd        `cmd:"" help:"Upload a WebAssembly module as a new version of a plugin."`
	List   pluginListCmd        `cmd:"" help:"List the plugins, or all versions of one."`
	Show   pluginShowCmd        `cmd:"" help:"Show a plugin: its functions with their inputs and outputs."`
	Tag    tagCmd[pluginKind]   `cmd:"" help:"Give a version of a plugin a tag, or move one."`
	Untag  untagCmd[pluginKind] `cmd:"" help:"Remove a tag of a plugin."`
	Tags   tagsCmd[pluginKind]  `cmd:"" help:"List the tags of a plugin."`
	Delete pluginDeleteCmd      `cmd:"" help:"Delete a plugin with all its versions, or one of them."`
}

type pluginPushCmd struct {
	Name string `arg:"" help:"Name of the plugin."`
	File string `arg:"" help:"WebAssembly module." type:"existingfile"`
}

// Run uploads the module.
func (c *pluginPushCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	return withFile(e, c.File, func(f *upload) error {
		p, err := cl.PushPlugin(ctx, c.Name, f.file, f.size, f.progress())
		if err != nil {
			return err
		}
		f.bar.clear()
		return e.say("plugin %s@%d  %s  %s  %s\n", p.GetName(), p.GetVersion(),
			humanize.IBytes(uint64(p.GetSizeBytes())), english.Plural(len(p.GetFunctions()), "function", ""), p.GetDigest())
	})
}

type pluginListCmd struct {
	output
	Name string `arg:"" optional:"" help:"List all versions of this plugin. Default: the newest version of every plugin."`
}

// Run lists the plugins.
func (c *pluginListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	var all []*tandemv1.Plugin
	for token := ""; ; {
		res, err := cl.Plugins.ListPlugins(ctx, &tandemv1.ListPluginsRequest{PageSize: 1000, PageToken: token, VersionsOf: c.Name})
		if err != nil {
			return err
		}
		all = append(all, res.GetPlugins()...)
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if c.json() {
		return e.printJSON(&tandemv1.ListPluginsResponse{Plugins: all})
	}
	t := e.table("NAME", "VERSION", "FUNCTIONS", "SIZE", "PUSHED", "TAGS", "DIGEST")
	for _, p := range all {
		t.row(p.GetName(), p.GetVersion(), len(p.GetFunctions()), humanize.IBytes(uint64(p.GetSizeBytes())), when(p.GetCreateTime()), dash(strings.Join(p.GetTags(), ",")), short(p.GetDigest()))
	}
	return t.flush()
}

type pluginShowCmd struct {
	output
	Name string `arg:"" help:"Name, name@version or name@tag."`
}

// Run shows one plugin.
func (c *pluginShowCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Plugins.GetPlugin(ctx, &tandemv1.GetPluginRequest{Name: c.Name})
	if err != nil {
		return err
	}
	p := res.GetPlugin()
	if c.json() {
		return e.printJSON(p)
	}
	t := e.table()
	t.row("plugin", fmt.Sprintf("%s@%d", p.GetName(), p.GetVersion()), p.GetDoc())
	t.row("digest", p.GetDigest())
	t.row("tags", dash(strings.Join(p.GetTags(), ", ")))
	t.row("size", humanize.IBytes(uint64(p.GetSizeBytes())))
	t.row("pushed", when(p.GetCreateTime()))
	for _, f := range p.GetFunctions() {
		t.row("function", f.GetName(), f.GetDoc())
		for _, port := range f.GetInputs() {
			t.row("  input", port.GetName(), port.GetType()+optional(port.GetOptional()))
		}
		for _, port := range f.GetOutputs() {
			t.row("  output", port.GetName(), port.GetType())
		}
		if f.GetWithSchema() != "" {
			t.row("  with", f.GetWithSchema())
		}
	}
	return t.flush()
}

type pluginDeleteCmd struct {
	Name string `arg:"" help:"Name of the plugin, or name@version or name@tag for one version."`
}

// Run deletes the plugin.
func (c *pluginDeleteCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Plugins.DeletePlugin(ctx, &tandemv1.DeletePluginRequest{Name: c.Name})
	if err != nil {
		return err
	}
	return e.removed(pluginKind{}, c.Name, res.GetVersions(), res.GetTags())
}
