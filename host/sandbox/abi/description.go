package abi

import "encoding/json"

// Description is what tdm1_describe returns, as JSON: what a plugin is called and which functions it has. The index of a
// function in Functions is the op of a request.
type Description struct {
	// Name of the plugin, for people; the name under which it is pushed is what graphs use.
	Name string `json:"name"`
	// Version for people, free text.
	Version string `json:"version,omitempty"`
	// Doc is one paragraph for people.
	Doc string `json:"doc,omitempty"`
	// Stateful plugins are not reset between calls, only between configurations.
	Stateful  bool       `json:"stateful,omitempty"`
	Functions []Function `json:"functions"`
	// Error is what a plugin's SDK found wrong with how the plugin is declared. The module is refused with this text.
	Error string `json:"error,omitempty"`
}

// Function is one callable function of a plugin.
type Function struct {
	Name    string `json:"name"`
	Doc     string `json:"doc,omitempty"`
	Inputs  []Port `json:"inputs"`
	Outputs []Port `json:"outputs"`
	// With is a JSON Schema (draft 2020-12) for the node's configuration; absent means that it takes none.
	With json.RawMessage `json:"with,omitempty"`
	// Outcomes names the outcomes 1..255 that the function may return.
	Outcomes map[string]int `json:"outcomes,omitempty"`
}

// Port is one named input or output of a function.
type Port struct {
	Name string `json:"name"`
	Doc  string `json:"doc,omitempty"`
	// Kind is a Kind's name. An input port of kind tensor, dtype UINT8 and shape [h,w,3] may be fed with an image: the host
	// decodes it.
	Kind string `json:"kind"`
	// DType is an element type's name; only for tensors, empty means any.
	DType string `json:"dtype,omitempty"`
	// Shape has one entry a dimension: a number, a name (equal wherever it stands in this function) or "?" (any). Absent
	// means any shape; [] means a scalar.
	Shape []Dim `json:"shape,omitzero"`
	// Optional inputs may be left unconnected.
	Optional bool `json:"optional,omitempty"`
	// List ports carry a list of such values, 0 or more.
	List bool `json:"list,omitempty"`
}
