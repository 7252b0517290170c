package control

import (
	"errors"
	"fmt"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/graph"
)

// Stage is a step of a publication, in the order in which they come.
type Stage string

// The stages. What fails in one leaves everything as it was.
const (
	StageResolve  Stage = "resolve"  // find what the document names
	StageValidate Stage = "validate" // check the whole graph
	StageLoad     Stage = "load"     // open models and plugins
	StageWarm     Stage = "warm"     // start plugins with their configuration
	StageStore    Stage = "store"    // write the release
	StageFlip     Stage = "flip"     // move calls to it
)

// StageError says in which step a release failed.
type StageError struct {
	Stage Stage
	Err   error
}

// Error implements error.
func (e *StageError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// warmError marks what went wrong when something that was open was started.
type warmError struct{ error }

// Unwrap returns the cause.
func (e warmError) Unwrap() error { return e.error }

// inStage notes the stage that err comes from.
func inStage(s Stage, err error) error {
	if _, ok := errors.AsType[warmError](err); ok {
		s = StageWarm
	}
	return &StageError{Stage: s, Err: err}
}

// checkStage tells apart what a check finds: references that mean nothing, and all else.
func checkStage(err error) error {
	faults, ok := errors.AsType[graph.Faults](err)
	if !ok {
		return inStage(StageResolve, err)
	}
	for _, f := range faults {
		switch f.Code {
		case graph.CodeUnknownModel, graph.CodeUnknownPlugin, graph.CodeUnknownGraph:
		default:
			return inStage(StageValidate, err)
		}
	}
	return inStage(StageResolve, err)
}

// storeStage tells apart what the catalog reports: nothing was stored, or nothing was moved.
func storeStage(err error) error {
	if errors.Is(err, catalog.ErrNotMoved) {
		return inStage(StageFlip, err)
	}
	return inStage(StageStore, err)
}
