package graph

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// configurations checks the `with` of every node against the schema of its function.
func (c *compiler) configurations() {
	schemas := map[string]*schema{}
	bad := map[string]bool{}
	for i, sig := range c.sigs {
		n := &c.g.Nodes[i]
		if sig == nil || sig.kind != KindPlugin || (n.broken && n.With == nil) {
			continue
		}
		if sig.fn.With == nil {
			if n.With != nil && !bytes.Equal(n.With, []byte("{}")) {
				c.add(faultf(CodeWithUnexpected, n.place("with"), "%s takes no configuration", what(sig)).at(n.Name, "").fix("remove with"))
			}
			continue
		}
		key := sig.ref + "." + sig.fn.Name
		if schemas[key] == nil && !bad[key] {
			compiled, err := compileSchema(sig.fn.With)
			if err != nil {
				c.add(faultf(CodeBadSchema, n.place("plugin"), "the schema of %s cannot be used: %s", what(sig), err).at(n.Name, "").
					fix("push a plugin with a JSON Schema of draft 2020-12 that refers to nothing outside itself"))
			}
			schemas[key], bad[key] = compiled, err != nil
		}
		if schemas[key] != nil {
			c.configuration(n, schemas[key])
		}
	}
}

// maxSchemaFaults bounds the faults of one `with`.
const maxSchemaFaults = 20

func (c *compiler) configuration(n *Node, s *schema) {
	doc := n.withDoc
	if doc == nil {
		doc = &tree{kind: treeMapping, pos: n.Pos}
		if n.With != nil {
			t, f := loadJSON(n.With)
			if f != nil {
				c.add(f.at(n.Name, ""))
				return
			}
			doc = t
		}
	}
	if ok, err := s.affordable(doc); err != nil {
		c.add(faultf(CodeBadSchema, n.place("plugin"), "the schema of %s.%s cannot be used: %s", n.Plugin, n.Call, err).at(n.Name, ""))
		return
	} else if !ok {
		c.add(faultf(CodeLimit, doc.pos, "checking this configuration against the plugin's schema takes too long").at(n.Name, "").
			fix("make it smaller, or simplify the schema"))
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc.appendJSON(nil)))
	if err != nil {
		c.add(faultf(CodeBadValue, doc.pos, "with is not JSON: %s", err).at(n.Name, ""))
		return
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(s.Validate(value), &invalid) {
		return
	}
	settings := slices.Sorted(maps.Keys(s.Properties))
	r := &schemaReport{node: n, doc: doc, settings: settings, printer: message.NewPrinter(language.English)}
	r.walk(invalid)
	if n.withDoc == nil { // no text that belongs to the values
		for _, f := range r.faults {
			f.Line, f.Column = n.Pos.Line, n.Pos.Column
		}
	}
	for _, f := range r.faults[:min(len(r.faults), maxSchemaFaults)] {
		c.add(f)
	}
}

// schemaReport turns a validation error into faults, one for each cause.
type schemaReport struct {
	node     *Node
	doc      *tree
	settings []string // of the schema's top level
	printer  *message.Printer
	faults   Faults
}

func (r *schemaReport) walk(e *jsonschema.ValidationError) {
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, p := range k.Properties {
			f := r.fault(append(append([]string{}, e.InstanceLocation...), p), true, "there is no setting "+quote(p))
			if len(e.InstanceLocation) == 0 {
				f.Fix = suggestOr(p, r.settings, "the settings are ")
			}
			r.faults = append(r.faults, f)
		}
		return
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		// Its causes exclude each other: no list of them helps.
		r.add(e.InstanceLocation, "the value fits none of the alternatives of the schema, or too many")
		return
	case *kind.Required:
		for _, p := range k.Missing {
			f := r.fault(e.InstanceLocation, false, "the setting "+quote(p)+" is missing")
			r.faults = append(r.faults, f.fix("add %s", clip(p, 80)))
		}
		return
	}
	if len(e.Causes) == 0 {
		r.add(e.InstanceLocation, r.text(e))
	}
	for _, cause := range e.Causes {
		r.walk(cause)
	}
}

func (r *schemaReport) text(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return fmt.Sprintf("the value must be %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Minimum:
		return fmt.Sprintf("%s is less than %s", k.Got.RatString(), k.Want.RatString())
	case *kind.Maximum:
		return fmt.Sprintf("%s is more than %s", k.Got.RatString(), k.Want.RatString())
	case *kind.MinItems:
		return fmt.Sprintf("the list has %d items, fewer than %d", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("the list has %d items, more than %d", k.Got, k.Want)
	default:
		return clip(e.ErrorKind.LocalizedString(r.printer), 300)
	}
}

func (r *schemaReport) add(at []string, text string) {
	r.faults = append(r.faults, r.fault(at, false, text))
}

func (r *schemaReport) fault(at []string, key bool, text string) *Fault {
	f := faultf(CodeWithSchema, r.doc.locate(at, key), "with%s: %s", dotted(at), text).at(r.node.Name, "")
	f.Path = pointer(at)
	return f
}

// locate returns the place of the value at a path, or of its key; of the nearest one around when there is no such value.
func (t *tree) locate(path []string, key bool) Pos {
	for i, p := range path {
		switch t.kind {
		case treeMapping:
			at := t.find(p)
			if at < 0 {
				return t.pos
			}
			if key && i == len(path)-1 {
				return t.pairs[at].pos
			}
			t = t.pairs[at].value
		case treeList:
			at, err := strconv.Atoi(p)
			if err != nil || at < 0 || at >= len(t.items) {
				return t.pos
			}
			t = t.items[at]
		default:
			return t.pos
		}
	}
	return t.pos
}

// pointer writes a path as a JSON pointer (RFC 6901).
func pointer(path []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, p := range path {
		b.WriteString("/" + escape.Replace(p))
	}
	return b.String()
}

func dotted(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return "." + clip(strings.Join(path, "."), 120)
}
