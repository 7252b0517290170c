package graph

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// loadYAML reads one YAML document. Anchors, aliases, merge keys and tags are refused: a reader of a graph should see what
// it says, and nothing may grow while it is read.
func loadYAML(src []byte) (*tree, *Fault) {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, faultf(CodeSyntax, Pos{Line: 1, Column: 1}, "the document is empty")
		}
		return nil, yamlFault(src, err)
	}
	var next yaml.Node
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlFault(src, err)
		}
		return nil, faultf(CodeYAML, Pos{Line: next.Line, Column: max(next.Column, 1)}, "the text holds more than one YAML document")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, faultf(CodeSyntax, Pos{Line: 1, Column: 1}, "the document is empty")
	}
	return yamlTree(doc.Content[0], 0)
}

func yamlTree(n *yaml.Node, depth int) (*tree, *Fault) {
	pos := Pos{Line: n.Line, Column: n.Column}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return nil, aliasFault(pos)
	case n.Style&yaml.TaggedStyle != 0:
		return nil, faultf(CodeYAML, pos, "tags such as %s are not part of the graph language", n.Tag)
	case n.Kind == yaml.ScalarNode:
		return yamlScalar(n, pos)
	case depth >= MaxNesting:
		return nil, faultf(CodeLimit, pos, "lists and mappings are nested deeper than %d", MaxNesting)
	case n.Kind == yaml.SequenceNode:
		t := &tree{kind: treeList, pos: pos}
		for _, c := range n.Content {
			item, f := yamlTree(c, depth+1)
			if f != nil {
				return nil, f
			}
			t.items = append(t.items, item)
		}
		return t, nil
	default:
		return yamlMapping(n, pos, depth)
	}
}

func yamlMapping(n *yaml.Node, pos Pos, depth int) (*tree, *Fault) {
	t := &tree{kind: treeMapping, pos: pos}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		at := Pos{Line: k.Line, Column: k.Column}
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			return nil, faultf(CodeYAML, at, "merge keys (<<) are not part of the graph language")
		}
		if k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Style&yaml.TaggedStyle != 0 || k.ShortTag() == "!!null" {
			return nil, faultf(CodeYAML, at, "a key must be plain text")
		}
		v, f := yamlTree(n.Content[i+1], depth+1)
		if f != nil {
			return nil, f
		}
		t.pairs = append(t.pairs, pair{key: k.Value, pos: at, value: v})
	}
	return t, nil
}

func yamlScalar(n *yaml.Node, pos Pos) (*tree, *Fault) {
	t := &tree{kind: treeString, text: n.Value, pos: pos}
	switch n.ShortTag() {
	case "!!null":
		t.kind, t.text = treeNull, ""
	case "!!bool":
		t.kind, t.text = treeBool, strings.ToLower(n.Value)
	case "!!int", "!!float":
		text, ok := number(n.Value)
		if !ok {
			return nil, faultf(CodeBadValue, pos, "the number %s is too long, too large or not finite", clip(n.Value, 24))
		}
		t.kind, t.text = treeNumber, text
	}
	return t, nil
}

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	yamlAny    = regexp.MustCompile(`[\[,][ \t]*\?[ \t]*[\],]`) // a bare ? in a list means something else to YAML
	// The library counts lines from 0 in the messages of its parser, from 1 in those of its scanner.
	yamlParser = regexp.MustCompile(`^did not find expected (<|node|'-'|key|',')`)
)

// yamlFault takes the line out of the library's message; it knows no column.
func yamlFault(src []byte, err error) *Fault {
	pos := Pos{Line: 1, Column: 1}
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			pos.Line = n
			if yamlParser.MatchString(text) {
				pos.Line++
			}
		}
	}
	if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		if at := bytes.Index(src, []byte("*"+m[1])); at >= 0 {
			pos = placeOf(src, at)
		}
		return aliasFault(pos)
	}
	f := faultf(CodeSyntax, pos, "not YAML: %s", text)
	if m := yamlAny.FindIndex(src); m != nil {
		at := placeOf(src, m[0]+bytes.IndexByte(src[m[0]:m[1]], '?'))
		if at.Line >= pos.Line-1 && at.Line <= pos.Line+1 {
			f.Line, f.Column = at.Line, at.Column
			f.Fix = "put the ? of a shape in quotes"
		}
	}
	return f
}

func aliasFault(pos Pos) *Fault {
	return faultf(CodeYAML, pos, "anchors and aliases are not part of the graph language").fix("write the value out")
}
