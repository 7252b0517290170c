package graph

import (
	"encoding/json"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Plan is a compiled graph: what the engine runs. It is immutable and may be shared by requests.
type Plan struct {
	Name string
	// Digest is the graph's digest; see Graph.Digest.
	Digest  string
	Inputs  []PlanInput
	Outputs []PlanOutput
	// Height is the depth of graphs in this graph: 0 when it uses none.
	Height int
	// Nodes stand in topological order: every source of a node is an earlier node, an input or a constant.
	Nodes []PlanNode
}

// Type returns the graph's signature, for graphs that use it as a node.
func (p *Plan) Type() *GraphType {
	t := &GraphType{Height: p.Height}
	for _, in := range p.Inputs {
		t.Inputs = append(t.Inputs, Port{Name: in.Name, Type: in.Type, Optional: in.Optional})
	}
	for _, out := range p.Outputs {
		t.Outputs = append(t.Outputs, Port{Name: out.Name, Type: out.Type, Optional: out.Optional})
	}
	return t
}

// PlanInput is one input of the graph.
type PlanInput struct {
	Name string
	// Type is what the definition says, narrowed by what the nodes ask for: an input [n,3,h,w] that feeds a model
	// [1,3,224,224] has the model's sizes. A name is equal wherever it stands in the graph's inputs.
	Type Type
	// Optional inputs may be absent; a nil Default then means that their consumers get no value.
	Optional bool
	Default  *Const
	// Used is false when nothing takes the input.
	Used bool
}

// PlanOutput is one output of the graph.
type PlanOutput struct {
	Name string
	Type Type
	From Source
	// Optional outputs may be absent from an answer, because the nodes that make them may not run.
	Optional bool
}

// Kind says what a node runs.
type Kind uint8

// Kinds of a node.
const (
	KindModel  Kind = iota + 1
	KindPlugin      // one function of a plugin
	KindGraph       // another graph
	KindSplit       // chooses one of several nodes
)

// PlanNode is one node, ready to run.
type PlanNode struct {
	// ID is the node's index in Plan.Nodes.
	ID   int
	Name string
	Kind Kind
	// Ref is the reference as the definition has it; the engine resolves it to a digest.
	Ref string
	// Function and Op are the plugin's function: its name and its index in the description.
	Function string
	Op       int
	// With is the plugin's configuration in canonical JSON; nil when there is none.
	With json.RawMessage
	// Inputs has one entry for each input port that the model, plugin or graph declares, in its order.
	Inputs []NodeInput
	// Outputs has one entry for each output port that it declares, in its order.
	Outputs []NodeOutput
	// Levels is how many lists the node is mapped over: 0 runs once, 1 once for every item, 2 for every item of every
	// inner list. Each output's Type is what one item gives; its consumers see a list around it for each level.
	Levels      int
	OnError     string // OnErrorFail or OnErrorSkip; always set
	MaxParallel int    // 0: the engine decides
	Timeout     time.Duration
	Priority    int
	Shadow      bool
	Keep        bool
	Cache       *Cache
	MayCall     []string
	// When is a condition: the node is skipped when it is false; nil means none.
	When *Expr
	// Split is what a KindSplit node chooses from; nil for every other node.
	Split *PlanSplit
	// Chosen says which branch of which split the node is; nil when it is none.
	Chosen *PlanBranch
	// Conditional nodes may be skipped. A node is skipped when its When is false, when its split chose another branch or was
	// skipped itself, or when something that it reads comes from a skipped node: an input that is not SourceFirst, or an
	// input of When or of the split's Sticky. An input that is SourceFirst takes the first alternative that has a value, and
	// skips the node when none has.
	Conditional bool
	// DependsOn and Dependents are the IDs of the nodes directly before and after, ascending, each once.
	DependsOn  []int
	Dependents []int
	Pos        Pos
}

// PlanSplit is a choice by weight.
type PlanSplit struct {
	// Branches are the nodes to choose from and their weights, at least one above 0.
	Branches []PlanBranch
	// Sticky makes requests with an equal value take the same branch; nil means that each draws anew.
	Sticky *Expr
}

// PlanBranch is one node of a split.
type PlanBranch struct {
	// Node is the ID of the branch's node, in PlanSplit; the ID of the split, in PlanNode.Chosen.
	Node int
	// Branch is the place among the split's branches.
	Branch int
	Weight int
}

// NodeInput is what feeds one input port of a node.
type NodeInput struct {
	Port string
	// From tells where the value comes from; SourceNone is an optional port that nobody feeds.
	From Source
	// Convert is what to do with the value, item by item, before the node gets it.
	Convert Convert
	// Levels is how many of the node's map levels this input takes part in, outermost first; 0 gives every item the same
	// whole value.
	Levels int
	// Type is what the port declares, after conversion, for one run of the node. Names relate the ports of this node in one
	// run: check them with Type.Check and one Bindings a run.
	Type Type
	// Optional ports may get no value.
	Optional bool
}

// NodeOutput is one output port of a node.
type NodeOutput struct {
	Port string
	// Type is what the port declares, for one run of the node.
	Type Type
	// Edge is what the consumers see: a list around Type for each map level, with every size that the whole graph fixes
	// filled in.
	Edge Type
	// Used is false when no node and no output of the graph takes it.
	Used bool
}

// SourceKind says where a value comes from.
type SourceKind uint8

// Kinds of sources.
const (
	SourceNone  SourceKind = iota
	SourceInput            // input Index of the graph
	SourceNode             // output Output of node Index
	SourceConst            // Const
	SourceFirst            // the first of First that ran
)

// Source is where a value comes from.
type Source struct {
	Kind   SourceKind
	Index  int
	Output int
	Const  *Const
	First  []Source
}

// Const is a constant, laid out as a value. DType and Shape are set for tensors only, whose Data is little-endian and
// row-major; Items are the items of a list.
type Const struct {
	Kind  abi.Kind
	DType abi.DType
	Shape []int64
	Data  []byte
	Items []Const
}

// Convert is one of the few conversions between kinds that happen on an edge.
type Convert uint8

// Conversions.
const (
	ConvertNone   Convert = iota
	ConvertDecode         // image -> tensor UINT8 [h,w,3]: decode
	ConvertBytes          // image, text or json -> bytes: the same bytes
	ConvertText           // json -> text: the document's text
)
