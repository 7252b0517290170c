// Package graph owns graph definitions: it parses their YAML and JSON forms, checks names, kinds, element types,
// dimensions, map depth and configuration against what models and plugins declare, and compiles them into a Plan that the
// engine runs. It is pure: no I/O, no clock, no goroutines, no locks. Everything it returns is immutable by agreement and
// may be read from many goroutines at once.
package graph

import (
	"encoding/json"
	"time"
)

// Limits of a definition. What goes beyond one is reported as a fault with code CodeLimit or CodeTooLarge.
const (
	MaxDocumentBytes = 1 << 20 // length of the YAML or JSON text
	MaxNodes         = 1000    // nodes of a graph
	MaxPorts         = 256     // inputs or outputs of a graph, inputs of a node
	MaxNesting       = 32      // depth of lists and mappings in the document, `with` included
	MaxNameBytes     = 63      // length of a name of a graph, input, output or node
	MaxListDepth     = 4       // lists in lists on an edge
	MaxFaults        = 100     // faults that are reported; more are counted in the last one
)

// Pos is a place in the text that a definition was parsed from. Lines and columns count from 1, columns in characters;
// the zero Pos means that there is no text (a definition that was built in memory).
type Pos struct {
	Line   int
	Column int
}

// Graph is a parsed definition. Inputs, outputs and nodes stand in the order of the document; the order has no meaning.
// Its JSON form is the document that Parse reads, so json.Marshal and Parse are each other's inverse.
type Graph struct {
	Name    string
	Doc     string
	Inputs  []Input
	Outputs []Output
	Nodes   []Node
	Pos     Pos

	broken   bool // a part was not understood and has its fault already: no faults about what is missing
	noInputs bool // the inputs are not known, because they were not understood
	noNodes  bool // likewise
	unnamed  bool // the name is missing or was not understood, and has its fault already
}

// Input is one input of a graph.
type Input struct {
	Name string
	Doc  string
	Type Type
	// Optional inputs may be left out of a request; what they feed must be optional as well, unless Default is set.
	Optional bool
	// Default is the JSON form of the value that a request without this input gets; nil means none.
	Default json.RawMessage
	Pos     Pos

	broken     bool
	defaultPos Pos
}

// Output is one output of a graph: a reference to an input or to a node's output, or the first of several that ran.
type Output struct {
	Name string
	Doc  string
	// From is a reference: "node.port", or "input". Empty when First is set.
	From  string
	First []string
	Pos   Pos

	broken bool
}

// Node is one step of a graph. Exactly one of Model, Plugin, Graph and Split says what it does.
type Node struct {
	Name string
	Doc  string
	// Model, Plugin and Graph are references: a name, name@version, name@tag or name@sha256:digest.
	Model  string
	Plugin string
	Graph  string
	// Call is the plugin's function; it may be left out when the plugin has only one.
	Call string
	// In says what feeds each input port.
	In []Binding
	// With is the plugin's configuration, as JSON; nil means none.
	With json.RawMessage
	// Each holds references to lists: the node runs once for every item.
	Each []string
	// OnError says what a failed item of a mapped node does: OnErrorFail (the default) or OnErrorSkip.
	OnError string
	// MaxParallel bounds how many items of a mapped node run at once; 0 leaves it to the engine.
	MaxParallel int
	// Timeout bounds one run of the node, all its items together; 0 means the request's deadline only.
	Timeout time.Duration
	// Priority orders the queue of the node's model: higher first, 0 is usual, from MinPriority to MaxPriority.
	Priority int
	// When is a CEL expression: the node is skipped unless it is true.
	When string
	// Split chooses one of the named nodes by weight; nil for every other node.
	Split *Split
	// Shadow takes the node and what only it feeds off the critical path.
	Shadow bool
	// Cache answers equal inputs from memory; nil means no cache.
	Cache *Cache
	// MayCall lists references of the models that a plugin may run through host calls.
	MayCall []string
	// Keep lets the node run although nobody uses its outputs, for what it records.
	Keep bool
	Pos  Pos

	broken  bool
	stray   bool           // it has keys that were not understood: what is missing may be there, misspelled
	places  map[string]Pos // key of the node's mapping -> its place
	withDoc *tree          // where the values of With stand in the text
}

// Binding feeds one input port: from a reference, from a constant, or from the first of several references that ran.
type Binding struct {
	Port string
	// From is a reference: "node.port", or "input".
	From string
	// Value is a constant as JSON; nil means none.
	Value json.RawMessage
	First []string
	Pos   Pos

	broken bool
}

// Split sends each request to one of several nodes.
type Split struct {
	// Branches are the nodes to choose from.
	Branches []Branch
	// Sticky is a CEL expression; requests with an equal value take the same branch. Empty means that each draws anew.
	Sticky string
}

// Branch is one choice of a Split.
type Branch struct {
	Node   string
	Weight int
	Pos    Pos
}

// Cache bounds the cache of one node.
type Cache struct {
	// TTL is how long an answer is kept; 0 means as long as there is room.
	TTL time.Duration
	// MaxBytes bounds the memory for answers; 0 means the engine's default.
	MaxBytes int64
}

// What a failed item of a mapped node does to the others.
const (
	OnErrorFail = "fail" // the node fails, and with it the request
	OnErrorSkip = "skip" // the item is left out of the outputs
)

// Bounds of a node's priority.
const (
	MinPriority = -10
	MaxPriority = 10
)
