package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type modelCmd struct {
	Push   modelPushCmd        `cmd:"" help:"Upload an ONNX file as a new version of a model."`
	List   modelListCmd        `cmd:"" help:"List the models, or all versions of one."`
	Show   modelShowCmd        `cmd:"" help:"Show a model: its inputs, outputs and origin."`
	Check  modelCheckCmd       `cmd:"" help:"Tell how a server would take an ONNX file, before it is pushed: operators, inputs, memory, latency. Needs no server."`
	Tag    tagCmd[modelKind]   `cmd:"" help:"Give a version of a model a tag, or move one."`
	Untag  untagCmd[modelKind] `cmd:"" help:"Remove a tag of a model."`
	Tags   tagsCmd[modelKind]  `cmd:"" help:"List the tags of a model."`
	Delete modelDeleteCmd      `cmd:"" help:"Delete a model with all its versions, or one of them."`

	Measure modelMeasureCmd `cmd:"" hidden:""`
}

type modelPushCmd struct {
	Name string `arg:"" help:"Name of the model."`
	File string `arg:"" help:"ONNX file." type:"existingfile"`
	servingFlags
}

// Run uploads the file.
func (c *modelPushCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	return withFile(e, c.File, func(f *upload) error {
		m, err := cl.PushModel(ctx, c.Name, f.file, f.size, f.progress(), client.WithModelOptions(options))
		if err != nil {
			return err
		}
		f.bar.clear()
		if note := m.GetWarmUpNote(); note != "" {
			_, _ = fmt.Fprintf(e.err, "Note: %s. Say --warm INPUT:SHAPE=VALUE for every input to have it warmed.\n", note)
		}
		return e.say("model %s@%d  %s  %s\n", m.GetName(), m.GetVersion(), humanize.IBytes(uint64(m.GetSizeBytes())), m.GetDigest())
	})
}

type modelListCmd struct {
	output
	Name string `arg:"" optional:"" help:"List all versions of this model. Default: the newest version of every model."`
}

// Run lists the models.
func (c *modelListCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	var all []*tandemv1.Model
	for token := ""; ; {
		res, err := cl.Models.ListModels(ctx, &tandemv1.ListModelsRequest{PageSize: 1000, PageToken: token, VersionsOf: c.Name})
		if err != nil {
			return err
		}
		all = append(all, res.GetModels()...)
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if c.json() {
		return e.printJSON(&tandemv1.ListModelsResponse{Models: all})
	}
	t := e.table("NAME", "VERSION", "SIZE", "PUSHED", "TAGS", "DIGEST")
	for _, m := range all {
		t.row(m.GetName(), m.GetVersion(), humanize.IBytes(uint64(m.GetSizeBytes())), when(m.GetCreateTime()), dash(strings.Join(m.GetTags(), ",")), short(m.GetDigest()))
	}
	return t.flush()
}

type modelShowCmd struct {
	output
	Name string `arg:"" help:"Name, name@version or name@tag."`
}

// Run shows one model.
func (c *modelShowCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Models.GetModel(ctx, &tandemv1.GetModelRequest{Name: c.Name})
	if err != nil {
		return err
	}
	m := res.GetModel()
	if c.json() {
		return e.printJSON(m)
	}
	t := e.table()
	t.row("model", fmt.Sprintf("%s@%d", m.GetName(), m.GetVersion()))
	t.row("digest", m.GetDigest())
	t.row("tags", dash(strings.Join(m.GetTags(), ", ")))
	t.row("size", humanize.IBytes(uint64(m.GetSizeBytes())))
	t.row("pushed", when(m.GetCreateTime()))
	t.row("producer", m.GetProducer())
	t.row("opset", m.GetOpset())
	t.row("runs on", m.GetPlacement())
	if why := m.GetNotBatched(); why == "" {
		t.row("batched", "yes")
	} else {
		t.row("batched", "no: "+why)
	}
	servingRows(t, m)
	for _, p := range m.GetInputs() {
		t.row("input", p.GetName(), portType(p))
	}
	for _, p := range m.GetOutputs() {
		t.row("output", p.GetName(), portType(p))
	}
	return t.flush()
}

type modelDeleteCmd struct {
	Name string `arg:"" help:"Name of the model, or name@version or name@tag for one version."`
}

// Run deletes the model.
func (c *modelDeleteCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	res, err := cl.Models.DeleteModel(ctx, &tandemv1.DeleteModelRequest{Name: c.Name})
	if err != nil {
		return err
	}
	return e.removed(modelKind{}, c.Name, res.GetVersions(), res.GetTags())
}
