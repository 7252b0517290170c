package graph

import (
	"encoding/json"
	"fmt"
	"strings"
)

// EditorSchema returns the JSON Schema (draft 2020-12) of the language's form, for editors: keys, forms of values, names.
// What a document means (references, types, configuration) only Check knows. Every document that Check takes fits the schema.
func EditorSchema() ([]byte, error) {
	b, err := json.MarshalIndent(editorSchema(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of the graph language: %w", err)
	}
	return append(b, '\n'), nil
}

type object = map[string]any

func editorSchema() object {
	return object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Tandem graph",
		"description": "A graph of models and plugins: how data flows between them. See docs/graph-language.md.",
		"type":        "object",
		"required":    []string{"graph", "outputs"},
		"properties": object{
			"graph":   object{"type": "string", "pattern": graphName.String(), "description": "The graph's name."},
			"doc":     doc(),
			"inputs":  mapping(ref("input"), MaxPorts, "What a request carries: names and types."),
			"outputs": mapping(ref("output"), MaxPorts, "What an answer carries: names and references."),
			"nodes":   mapping(ref("node"), MaxNodes, "The steps. A node runs as soon as everything that it needs is there."),
		},
		"additionalProperties": false,
		"$defs": object{
			"input":     inputSchema(),
			"type":      typeSchema(),
			"shortType": shortTypeSchema(),
			"output":    outputSchema(),
			"reference": object{
				"type": "string", "minLength": 1,
				"description": "node.port for a node's output, or the name of an input.",
			},
			"references": list(ref("reference"), maxReferences),
			"duration": object{
				"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h))+$`, "description": "Such as 250ms, 2s or 1m30s.",
			},
			"expression": object{"type": "string", "minLength": 1, "maxLength": maxExpressionBytes, "description": "CEL."},
			"object":     object{"type": "string", "pattern": refSyntax.String()},
			"node":       nodeSchema(),
			"binding":    bindingSchema(),
		},
	}
}

func ref(name string) object { return object{"$ref": "#/$defs/" + name} }

func doc() object { return object{"type": "string", "description": "Text for people."} }

func list(items object, most int) object {
	return object{"type": "array", "items": items, "minItems": 1, "maxItems": most}
}

func mapping(values object, most int, description string) object {
	return object{
		"type": []string{"object", "null"}, "description": description, "maxProperties": most,
		"propertyNames":        object{"pattern": localName.String(), "not": object{"enum": reserved()}},
		"additionalProperties": values,
	}
}

func shortTypeSchema() object {
	dim := `([0-9]+|\?|[A-Za-z_][A-Za-z0-9_]{0,62})`
	shape := `\[ *(` + dim + ` *(, *` + dim + ` *){0,7})?\]`
	return object{
		"type":     "string",
		"pattern":  `^ *(list +of +){0,4}(text|json|image|bytes|tensor( +(` + strings.Join(dtypeWords(), "|") + `))?( *` + shape + `)?) *$`,
		"examples": []string{"text", "json", "image", "bytes", "tensor FP32 [batch, 3, h, w]", "list of text"},
	}
}

func typeKeys() object {
	return object{
		"type":  ref("shortType"),
		"list":  ref("type"),
		"dtype": object{"enum": dtypeWords(), "description": "The element type of a tensor."},
		"shape": object{
			"type": "array", "maxItems": 8, "description": "One entry a dimension: a size, a name, or ? for any.",
			"items": object{"anyOf": []object{
				{"type": "integer", "minimum": 0, "maximum": int64(1) << 62},
				{"type": "string", "pattern": `^([0-9]+|\?|[A-Za-z_][A-Za-z0-9_]{0,62})$`},
			}},
		},
	}
}

func oneKey(keys ...string) []object {
	out := make([]object, len(keys))
	for i, k := range keys {
		out[i] = object{"required": []string{k}}
	}
	return out
}

func typeSchema() object { return longType(typeKeys()) }

// longType returns the schema of a type in its short form, or of a mapping with some keys.
func longType(keys object) object {
	tensor := object{"required": []string{"type"}, "properties": object{"type": object{"pattern": "^ *tensor"}}}
	return object{"anyOf": []object{
		ref("shortType"),
		{
			"type": "object", "properties": keys, "oneOf": oneKey("type", "list"), "additionalProperties": false,
			"dependentSchemas": object{"dtype": tensor, "shape": tensor},
		},
	}}
}

func inputSchema() object {
	keys := typeKeys()
	keys["doc"] = doc()
	keys["optional"] = object{"type": "boolean", "description": "The input may be left out of a request."}
	keys["default"] = object{"description": "What a request without this input gets."}
	return longType(keys)
}

func outputSchema() object {
	return object{"anyOf": []object{
		ref("reference"),
		{
			"type":       "object",
			"properties": object{"from": ref("reference"), "first": ref("references"), "doc": doc()},
			"anyOf":      oneKey("from", "first"), "additionalProperties": false,
		},
	}}
}

func bindingSchema() object {
	return object{"anyOf": []object{
		ref("reference"),
		{
			"type": "object",
			"properties": object{
				"from": ref("reference"), "first": ref("references"), "value": object{"description": "A constant."},
			},
			"minProperties": 1, "maxProperties": 1, "additionalProperties": false,
		},
	}}
}

func nodeSchema() object {
	ports := object{"type": []string{"object", "null"}, "additionalProperties": ref("binding"), "maxProperties": MaxPorts}
	return object{
		"type":  "object",
		"oneOf": oneKey("model", "plugin", "graph", "split"),
		"properties": object{
			"doc":    doc(),
			"model":  ref("object"),
			"plugin": ref("object"),
			"graph":  ref("object"),
			"call":   object{"type": "string", "description": "The plugin's function."},
			"in":     ports,
			"with":   object{"type": "object", "description": "The configuration of the plugin's function."},
			"each": object{
				"anyOf":       []object{ref("reference"), ref("references")},
				"description": "Lists: the node runs once for every item.",
			},
			"when": ref("expression"),
			"split": object{
				"type": "object", "description": "Nodes and their weights.", "minProperties": 1,
				"properties":           object{"sticky": ref("expression")},
				"additionalProperties": object{"type": "integer", "minimum": 0, "maximum": maxWeight},
			},
			"on_error":     object{"enum": []string{OnErrorFail, OnErrorSkip}},
			"max_parallel": object{"type": "integer", "minimum": 1, "maximum": 1 << 16},
			"timeout":      ref("duration"),
			"priority":     object{"type": "integer", "minimum": MinPriority, "maximum": MaxPriority},
			"shadow":       object{"type": "boolean"},
			"cache": object{"anyOf": []object{
				{"type": "boolean"},
				{
					"type":                 "object",
					"properties":           object{"ttl": ref("duration"), "max_bytes": object{"type": "integer", "minimum": 1}},
					"additionalProperties": false,
				},
			}},
			"may_call": ref("references"),
			"keep":     object{"type": "boolean", "description": "Run although nothing takes an output, for what the node records."},
		},
		"additionalProperties": false,
	}
}
