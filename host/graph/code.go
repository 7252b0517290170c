package graph

// Code names a kind of fault. Codes are stable: clients may act on them.
type Code string

// Codes about the text itself.
const (
	CodeSyntax       Code = "syntax"        // not UTF-8, not YAML, not JSON, or empty
	CodeYAML         Code = "yaml-feature"  // an anchor, alias, tag, merge key, odd key or second document
	CodeTooLarge     Code = "too-large"     // the document is longer than a bound
	CodeLimit        Code = "limit"         // more nodes, ports, nesting or faults than a bound
	CodeUnknownKey   Code = "unknown-key"   // a key that the language does not have here
	CodeMissingKey   Code = "missing-key"   // a key that must be there is not
	CodeDuplicateKey Code = "duplicate-key" // a key stands twice in one mapping
	CodeBadValue     Code = "bad-value"     // a value of the wrong form or out of bounds
)

// Codes about names and references.
const (
	CodeBadName         Code = "bad-name"         // a name with characters that names do not have, or too long
	CodeReservedName    Code = "reserved-name"    // a name that the language keeps for itself
	CodeDuplicateNode   Code = "duplicate-node"   // two nodes with one name
	CodeDuplicateInput  Code = "duplicate-input"  // two inputs of the graph with one name
	CodeDuplicateOutput Code = "duplicate-output" // two outputs of the graph with one name
	CodeNameConflict    Code = "name-conflict"    // an input and a node with one name
	CodeBadType         Code = "bad-type"         // a type that cannot be read
	CodeBadReference    Code = "bad-reference"    // a reference that cannot be read
	CodeUnknownInput    Code = "unknown-input"    // a reference to an input that the graph does not have
	CodeUnknownNode     Code = "unknown-node"     // a reference to a node that the graph does not have
	CodeUnknownPort     Code = "unknown-port"     // a port that the model, function or graph does not have
	CodeUnknownModel    Code = "unknown-model"    // a model that does not exist
	CodeUnknownPlugin   Code = "unknown-plugin"   // a plugin that does not exist
	CodeUnknownGraph    Code = "unknown-graph"    // a graph that does not exist
	CodeUnknownFunction Code = "unknown-function" // a function that the plugin does not have
)

// Codes about nodes and how they are connected.
const (
	CodeNodeKind       Code = "node-kind"       // none, or more than one, of the keys that say what a node runs
	CodeKeyNotAllowed  Code = "key-not-allowed" // a key that makes no sense for what the node runs
	CodeMissingCall    Code = "missing-call"    // a plugin of several functions without `call`
	CodeMissingInput   Code = "missing-input"   // a required input port that nothing feeds
	CodeInputTwice     Code = "input-twice"     // an input port that is fed twice
	CodeCycle          Code = "cycle"           // nodes that wait for each other
	CodeUnusedInput    Code = "unused-input"    // an input of the graph that nothing takes
	CodeUnusedNode     Code = "unused-node"     // a node whose outputs nothing takes
	CodeMissingOutput  Code = "missing-output"  // a graph without outputs, or an output that says nothing
	CodeRecursion      Code = "recursion"       // a graph that contains itself, or graphs nested too deeply
	CodeEachNotList    Code = "each-not-list"   // `each` over something that is no list
	CodeEachUnused     Code = "each-unused"     // `each` over something that is no input of the node
	CodeWithSchema     Code = "with-schema"     // `with` breaks the function's schema
	CodeWithUnexpected Code = "with-unexpected" // `with` for something that takes no configuration
	CodeBadExpression  Code = "bad-expression"  // an expression that cannot be read, has the wrong type, or reads what it cannot
	CodeBadSplit       Code = "bad-split"       // a split without weights, or a node in two splits
	CodeShadowOutput   Code = "shadow-output"   // an output of the graph that comes from a node in the shadow
	CodeBadSchema      Code = "bad-schema"      // the plugin's schema for `with`, or its description, cannot be used
)

// Codes about types.
const (
	CodeKindMismatch      Code = "kind-mismatch"      // for instance text where a tensor is expected
	CodeListMismatch      Code = "list-mismatch"      // a list where one value is expected, or the other way round
	CodeDTypeMismatch     Code = "dtype-mismatch"     // another element type
	CodeRankMismatch      Code = "rank-mismatch"      // another number of dimensions
	CodeDimensionMismatch Code = "dimension-mismatch" // a dimension of another size
	CodeBadConstant       Code = "bad-constant"       // a constant or default that is no value of its type
	CodeOptionalMismatch  Code = "optional-mismatch"  // an optional input that feeds a required port
)

// codes returns every code, in the order of the documentation.
func codes() []Code {
	return []Code{
		CodeSyntax,
		CodeYAML,
		CodeTooLarge,
		CodeLimit,
		CodeUnknownKey,
		CodeMissingKey,
		CodeDuplicateKey,
		CodeBadValue,
		CodeBadName,
		CodeReservedName,
		CodeDuplicateNode,
		CodeDuplicateInput,
		CodeDuplicateOutput,
		CodeNameConflict,
		CodeBadType,
		CodeBadReference,
		CodeUnknownInput,
		CodeUnknownNode,
		CodeUnknownPort,
		CodeUnknownModel,
		CodeUnknownPlugin,
		CodeUnknownGraph,
		CodeUnknownFunction,
		CodeNodeKind,
		CodeKeyNotAllowed,
		CodeMissingCall,
		CodeMissingInput,
		CodeInputTwice,
		CodeCycle,
		CodeUnusedInput,
		CodeUnusedNode,
		CodeMissingOutput,
		CodeRecursion,
		CodeEachNotList,
		CodeEachUnused,
		CodeWithSchema,
		CodeWithUnexpected,
		CodeBadExpression,
		CodeBadSplit,
		CodeShadowOutput,
		CodeBadSchema,
		CodeKindMismatch,
		CodeListMismatch,
		CodeDTypeMismatch,
		CodeRankMismatch,
		CodeDimensionMismatch,
		CodeBadConstant,
		CodeOptionalMismatch,
	}
}
