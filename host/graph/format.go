package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Digest returns "sha256:" and the hexadecimal SHA-256 of the graph's canonical JSON: keys sorted, no spaces. Two
// documents that say the same have the same digest, in YAML or JSON, whatever their order and comments.
func (g *Graph) Digest() string {
	sum := sha256.Sum256(g.tree().appendJSON(nil))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// MarshalJSON returns the graph's JSON form, which Parse reads back without loss.
func (g *Graph) MarshalJSON() ([]byte, error) { return g.tree().appendOrdered(nil), nil }

// UnmarshalJSON reads what MarshalJSON writes. The error is Faults.
func (g *Graph) UnmarshalJSON(src []byte) error {
	parsed, err := parse(src)
	if err != nil {
		return err
	}
	*g = *parsed
	return nil
}

// YAML returns the graph's YAML form, which Parse reads back without loss.
func (g *Graph) YAML() ([]byte, error) {
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(g.tree().yaml(0)); err != nil {
		return nil, fmt.Errorf("write graph %s as YAML: %w", quote(g.Name), err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write graph %s as YAML: %w", quote(g.Name), err)
	}
	return buf.Bytes(), nil
}

// appendOrdered appends the JSON of t with keys in their order.
func (t *tree) appendOrdered(b []byte) []byte {
	switch t.kind {
	case treeList:
		b = append(b, '[')
		for i, item := range t.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendOrdered(b)
		}
		return append(b, ']')
	case treeMapping:
		b = append(b, '{')
		for i, p := range t.pairs {
			if i > 0 {
				b = append(b, ',')
			}
			b = p.value.appendOrdered(append(appendString(b, p.key), ':'))
		}
		return append(b, '}')
	default:
		return t.appendJSON(b)
	}
}

// flowDepth is where YAML goes on in one line: graph, nodes and each node stand in lines of their own.
const flowDepth = 3

func (t *tree) yaml(depth int) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: t.text}
	if depth >= flowDepth {
		n.Style = yaml.FlowStyle
	}
	switch t.kind {
	case treeNull:
		n.Tag, n.Value, n.Style = "!!null", "null", 0
	case treeBool:
		n.Tag, n.Style = "!!bool", 0
	case treeNumber:
		n.Tag, n.Style = "", 0
	case treeString:
		return yamlText(t.text)
	case treeList:
		n.Kind = yaml.SequenceNode
		for _, item := range t.items {
			n.Content = append(n.Content, item.yaml(flowDepth))
		}
	case treeMapping:
		n.Kind = yaml.MappingNode
		for _, p := range t.pairs {
			n.Content = append(n.Content, yamlText(p.key), p.value.yaml(depth+1))
		}
	}
	return n
}

var plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@/-]*( [A-Za-z0-9_.@/-]+)*$`)

// yamlWord reports whether some YAML reader takes s for something else than text.
func yamlWord(s string) bool {
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf":
		return true
	}
	return false
}

// yamlText quotes whatever is not plainly a word or a sentence, so that no reader takes it for something else.
func yamlText(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	if plainText.MatchString(s) && !yamlWord(s) {
		n.Style = 0
	}
	return n
}
