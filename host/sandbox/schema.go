package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds of a schema for configurations, which strangers write and the host runs: without them a schema of a kilobyte
// keeps a validator busy for ever.
const (
	maxSchemaNodes = 5_000 // with every reference replaced by what it refers to
	maxSchemaDepth = 64
	maxWithBytes   = 256 << 10
)

var (
	errSchemaRef    = errors.New("only references within the document, as #/..., are allowed")
	errSchemaCost   = fmt.Errorf("it is larger than %d nodes, nested deeper than %d, or refers to itself", maxSchemaNodes, maxSchemaDepth)
	errSchemaTarget = errors.New("it refers to something that is not there")
)

// schemaCost walks a schema with every reference replaced by its target and fails when that is too much.
type schemaCost struct {
	root  any
	nodes int
}

func (c *schemaCost) walk(v any, depth int) error {
	if c.nodes++; c.nodes > maxSchemaNodes || depth > maxSchemaDepth {
		return errSchemaCost
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := c.walk(e, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if err := c.member(k, e, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *schemaCost) member(key string, v any, depth int) error {
	ref, isText := v.(string)
	switch {
	case !isText:
		return c.walk(v, depth+1)
	case key == "$dynamicRef" || key == "$recursiveRef" || key == "$id" || key == "$anchor" || key == "$dynamicAnchor":
		return fmt.Errorf("%s: %w", key, errSchemaRef)
	case key != "$ref":
		return nil
	}
	target, err := c.resolve(ref)
	if err != nil {
		return fmt.Errorf("$ref %.100q: %w", ref, err)
	}
	return c.walk(target, depth+1)
}

// resolve follows a JSON pointer from the root.
func (c *schemaCost) resolve(ref string) (any, error) {
	if ref == "#" {
		return c.root, nil
	}
	pointer, ok := strings.CutPrefix(ref, "#/")
	if !ok || strings.Contains(pointer, "%") {
		return nil, errSchemaRef
	}
	at := c.root
	for part := range strings.SplitSeq(pointer, "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[part]
		case []any:
			n, err := strconv.Atoi(part)
			if ok = err == nil && n >= 0 && n < len(v); ok {
				at = v[n]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, errSchemaTarget
		}
	}
	return at, nil
}

// refuseLoader keeps a schema from reading files or other documents.
type refuseLoader struct{}

// Load implements jsonschema.URLLoader.
func (refuseLoader) Load(string) (any, error) { return nil, errSchemaRef }

func compileSchema(doc []byte) (*jsonschema.Schema, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	cost := schemaCost{root: v}
	if err := cost.walk(v, 0); err != nil {
		return nil, err
	}
	const url = "with.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(refuseLoader{})
	if err := compiler.AddResource(url, v); err != nil {
		return nil, err
	}
	return compiler.Compile(url)
}

// validateWith checks a configuration against the schema of a function.
func (f *function) validateWith(with []byte) error {
	if len(with) == 0 {
		with = []byte("{}")
	}
	if len(with) > maxWithBytes {
		return fmt.Errorf("configuration: %d bytes, want at most %d", len(with), maxWithBytes)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(with))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	obj, ok := v.(map[string]any)
	switch {
	case !ok:
		return errors.New("configuration: not a JSON object")
	case f.with != nil:
		if err := f.with.Validate(v); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
	case len(obj) > 0:
		return errors.New("configuration: the function takes none")
	}
	return nil
}
