package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schema is a compiled JSON Schema for `with`.
type schema struct {
	*jsonschema.Schema
	cost *schemaCost
}

// maxSchemaWork bounds how many schemas are tried on how many values of one `with`. References in a schema can double the
// work at every step: thirty lines of it keep a server busy for hours.
const maxSchemaWork = 2_000_000

// usualDepth and usualValues describe a configuration that every schema must be able to check in time.
const (
	usualDepth  = 6
	usualValues = 100
)

// CheckSchema reports why a JSON Schema for `with` cannot be used: it is no schema, it refers to another document, or
// checking values against it would take too long. Plugins are refused at upload with this error.
func CheckSchema(src json.RawMessage) error {
	s, err := compileSchema(src)
	if err != nil {
		return err
	}
	n, err := s.cost.visits(s.cost.root, usualDepth)
	if err == nil && n > maxSchemaWork/usualValues {
		err = errors.New("checking a configuration against it takes too long")
	}
	return err
}

// noLoader refuses every reference to another document: compiling a schema does no I/O.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema may not refer to another document (%s)", clip(url, 80))
}

// schemaURL is the address that a schema gets while it is compiled; it shows nowhere.
const schemaURL = "tandem:///with.json"

func compileSchema(src json.RawMessage) (*schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return nil, errors.New(schemaWords(err))
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return nil, errors.New(schemaWords(err))
	}
	return &schema{Schema: compiled, cost: &schemaCost{root: doc, known: map[costKey]float64{}}}, nil
}

// schemaWords returns the line of a library's error that says most: the innermost cause, or else the first.
func schemaWords(err error) string {
	lines := strings.Split(err.Error(), "\n")
	line := lines[0]
	if invalid := (*jsonschema.SchemaValidationError)(nil); errors.As(err, &invalid) {
		line = strings.TrimLeft(lines[len(lines)-1], " -")
	}
	return clip(strings.ReplaceAll(line, schemaURL, ""), 300)
}

// schemaCost counts how many schemas are tried on one value and, further down, on one value inside it.
type schemaCost struct {
	root  any
	known map[costKey]float64
}

// costKey is a schema, by where it stands, and the depth of values that is left below it.
type costKey struct {
	at    string
	depth int
}

// visits bounds the schemas that are tried along any one path into a value of the given depth.
func (c *schemaCost) visits(s any, depth int) (float64, error) {
	return c.count(s, "#", depth)
}

func (c *schemaCost) count(s any, at string, depth int) (float64, error) {
	m, ok := s.(map[string]any)
	if !ok {
		return 1, nil // true or false
	}
	key := costKey{at, depth}
	if n, ok := c.known[key]; ok {
		if n < 0 {
			return 0, errors.New("the schema refers to itself without going deeper into the value")
		}
		return n, nil
	}
	c.known[key] = -1
	total := 1.0
	for keyword, sub := range m {
		n, err := c.keyword(keyword, sub, at+"/"+keyword, depth)
		if err != nil {
			return 0, err
		}
		total += n
	}
	c.known[key] = total
	return total, nil
}

func (c *schemaCost) keyword(keyword string, sub any, at string, depth int) (float64, error) {
	switch keyword {
	case "$ref":
		target, where, err := c.resolve(sub)
		if err != nil {
			return 0, err
		}
		return c.count(target, where, depth)
	case "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor":
		return 0, fmt.Errorf("the keyword %s is not allowed", keyword)
	case "$id":
		if at != "#/$id" {
			return 0, errors.New("$id is allowed at the top only")
		}
	case "allOf", "anyOf", "oneOf":
		return c.each(sub, at, depth, true)
	case "not", "if", "then", "else":
		return c.count(sub, at, depth)
	case "dependentSchemas", "dependencies":
		return c.each(sub, at, depth, true)
	case "properties", "prefixItems":
		return c.deeper(sub, at, depth, false)
	case "patternProperties":
		return c.deeper(sub, at, depth, true)
	case "items", "additionalItems", "additionalProperties", "contains", "propertyNames", "unevaluatedItems",
		"unevaluatedProperties":
		if depth > 0 {
			if list, ok := sub.([]any); ok { // items of older drafts
				return c.each(list, at, depth-1, false)
			}
			return c.count(sub, at, depth-1)
		}
	}
	return 0, nil
}

func (c *schemaCost) deeper(sub any, at string, depth int, sum bool) (float64, error) {
	if depth == 0 {
		return 0, nil
	}
	return c.each(sub, at, depth-1, sum)
}

// each adds up what schemas cost that are all tried on one value, or takes the most when each has a value of its own.
func (c *schemaCost) each(sub any, at string, depth int, sum bool) (float64, error) {
	total := 0.0
	add := func(name string, s any) error {
		n, err := c.count(s, at+"/"+name, depth)
		if sum {
			total += n
		} else {
			total = math.Max(total, n)
		}
		return err
	}
	switch list := sub.(type) {
	case []any:
		for i, s := range list {
			if err := add(fmt.Sprint(i), s); err != nil {
				return 0, err
			}
		}
	case map[string]any:
		for name, s := range list {
			if err := add(strings.NewReplacer("~", "~0", "/", "~1").Replace(name), s); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// resolve finds what a reference inside the schema points at.
func (c *schemaCost) resolve(ref any) (target any, at string, err error) {
	text, _ := ref.(string)
	path, local := strings.CutPrefix(text, "#")
	if !local || (path != "" && !strings.HasPrefix(path, "/")) {
		return nil, "", fmt.Errorf("a reference must be # or start with #/, not %s", quote(text))
	}
	target = c.root
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if path == "" {
			break
		}
		m, ok := target.(map[string]any)
		if !ok {
			return nil, "", fmt.Errorf("the reference %s points nowhere", quote(text))
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if target, ok = m[part]; !ok {
			return nil, "", fmt.Errorf("the reference %s points nowhere", quote(text))
		}
	}
	return target, "#" + path, nil
}

// affordable reports whether checking t costs no more than maxSchemaWork.
func (s *schema) affordable(t *tree) (bool, error) {
	depth, values := t.measure()
	n, err := s.cost.visits(s.cost.root, depth)
	return n*float64(values) <= maxSchemaWork, err
}

// measure returns the depth of t and how many values it has.
func (t *tree) measure() (depth, values int) {
	values = 1
	add := func(sub *tree) {
		d, n := sub.measure()
		depth, values = max(depth, d+1), values+n
	}
	for _, p := range t.pairs {
		add(p.value)
	}
	for _, item := range t.items {
		add(item)
	}
	return depth, values
}
