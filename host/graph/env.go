package graph

import (
	"errors"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// ErrNotFound is what an Env returns (wrapped or not) for a reference that names nothing. Compile makes a fault of it;
// any other error of an Env ends the compilation and is returned as it is.
var ErrNotFound = errors.New("not found")

// Env answers what references mean. Compile asks for each reference once. An Env that also implements Namer makes better
// suggestions.
type Env interface {
	// Model returns the signature of a model.
	Model(ref string) (*ModelType, error)
	// Plugin returns what a plugin declared at upload.
	Plugin(ref string) (*abi.Description, error)
	// Graph returns the signature of a published graph.
	Graph(ref string) (*GraphType, error)
}

// Namer lists the names that exist, for "did you mean".
type Namer interface {
	// Names returns the names of all objects of one kind: "model", "plugin" or "graph".
	Names(kind string) []string
}
