package graph

// Feature is a part of the language that the engine has to know how to run.
type Feature string

// Features that Compile can refuse.
const (
	FeatureSubgraph    Feature = "graph"        // a graph as a node
	FeatureConstant    Feature = "value"        // a constant as a node's input
	FeatureDefault     Feature = "default"      // a default of a graph's input
	FeatureOptional    Feature = "optional"     // an optional input of a graph
	FeatureOnError     Feature = "on_error"     // on_error: skip
	FeatureMaxParallel Feature = "max_parallel" // a bound for the items of a mapped node
	FeatureTimeout     Feature = "timeout"      // a node's own time budget
	FeaturePriority    Feature = "priority"     // a node's place in its model's queue
	FeatureWhen        Feature = "when"         // conditional nodes
	FeatureFirst       Feature = "first"        // the first of several references that ran
	FeatureSplit       Feature = "split"        // a choice by weight
	FeatureShadow      Feature = "shadow"       // nodes off the critical path
	FeatureCache       Feature = "cache"        // answers from memory
	FeatureMayCall     Feature = "may_call"     // models that a plugin runs through host calls
)

// unsupported is the one list of what the engine does not run yet: Compile refuses it with CodeUnsupported, so that
// nothing is silently ignored. Take a line out when the engine runs it.
func unsupported() []Feature {
	return []Feature{
		FeaturePriority,
		FeatureShadow,
		FeatureCache,
		FeatureMayCall,
	}
}

// Unsupported returns what Compile refuses because the engine does not run it yet.
func Unsupported() []Feature { return unsupported() }
