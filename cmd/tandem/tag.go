package main

import (
	"context"
	"fmt"
	"strings"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// kindOf says what a command is about.
type kindOf interface {
	kind() tandemv1.TagKind
	String() string
}

type (
	modelKind  struct{}
	pluginKind struct{}
	graphKind  struct{}
)

func (modelKind) kind() tandemv1.TagKind  { return tandemv1.TagKind_TAG_KIND_MODEL }
func (pluginKind) kind() tandemv1.TagKind { return tandemv1.TagKind_TAG_KIND_PLUGIN }
func (graphKind) kind() tandemv1.TagKind  { return tandemv1.TagKind_TAG_KIND_GRAPH }

func (modelKind) String() string  { return "model" }
func (pluginKind) String() string { return "plugin" }
func (graphKind) String() string  { return "graph" }

// tagCmd tags a version of a K.
type tagCmd[K kindOf] struct {
	Name string `arg:"" help:"NAME@VERSION, or another tag or a digest of it. Without a version: the newest, of a graph the current release."`
	Tag  string `arg:"" help:"Tag: lower-case letters, digits and inner . _ -, a letter first. One that exists moves."`
}

// Run sets the tag.
func (c *tagCmd[K]) Run(ctx context.Context, e *env, cl *client.Client) error {
	var k K
	res, err := cl.Tags.SetTag(ctx, &tandemv1.SetTagRequest{Kind: k.kind(), Name: c.Name, Tag: c.Tag})
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(c.Name, "@")
	switch was := res.GetWas(); was {
	case 0:
		return e.say("%s %s@%d is %s@%s\n", k, name, res.GetVersion(), name, c.Tag)
	case res.GetVersion():
		return e.say("%s %s@%d is %s@%s already\n", k, name, res.GetVersion(), name, c.Tag)
	default:
		return e.say("%s %s@%d is %s@%s; it was %d\n", k, name, res.GetVersion(), name, c.Tag, was)
	}
}

// untagCmd removes a tag of a K.
type untagCmd[K kindOf] struct {
	Name string `arg:"" help:"Name."`
	Tag  string `arg:"" help:"Tag to remove. The version stays."`
}

// Run removes the tag.
func (c *untagCmd[K]) Run(ctx context.Context, e *env, cl *client.Client) error {
	var k K
	res, err := cl.Tags.DeleteTag(ctx, &tandemv1.DeleteTagRequest{Kind: k.kind(), Name: c.Name, Tag: c.Tag})
	if err != nil {
		return err
	}
	return e.say("%s %s@%d is %s@%s no more\n", k, c.Name, res.GetWas(), c.Name, c.Tag)
}

// tagsCmd lists the tags of a K.
type tagsCmd[K kindOf] struct {
	output
	Name string `arg:"" help:"Name."`
}

// Run lists the tags.
func (c *tagsCmd[K]) Run(ctx context.Context, e *env, cl *client.Client) error {
	var k K
	res, err := cl.Tags.ListTags(ctx, &tandemv1.ListTagsRequest{Kind: k.kind(), Name: c.Name})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(res)
	}
	t := e.table("TAG", "VERSION", "MOVES")
	for _, tag := range res.GetTags() {
		moves := "by hand"
		if tag.GetAutomatic() {
			moves = "by itself"
		}
		t.row(tag.GetTag(), tag.GetVersion(), moves)
	}
	return t.flush()
}

// removed says what a deletion took.
func (e *env) removed(k kindOf, arg string, versions []int32, tags []string) error {
	name, at, one := strings.Cut(arg, "@")
	what := name
	if one && len(versions) == 1 {
		what = fmt.Sprintf("%s@%d", name, versions[0])
	} else if one {
		what = name + "@" + at
	}
	text := ""
	switch len(tags) {
	case 0:
	case 1:
		text = ", and with it the tag " + tags[0]
	default:
		text = ", and with it the tags " + strings.Join(tags, ", ")
	}
	return e.say("%s %s deleted%s\n", k, what, text)
}
