package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// Plugin is one loaded module with instances of its own. It serves one tenant. It may be used by many goroutines.
type Plugin struct {
	desc   abi.Description
	digest [32]byte
}

// Description returns what the plugin declared. It was validated: names are unique, kinds, dtypes and schemas are known
// and parse. It is shared and must not be changed.
func (p *Plugin) Description() abi.Description { return p.desc }

// Digest returns the SHA-256 of the module's bytes.
func (p *Plugin) Digest() [32]byte { return p.digest }

// ValidateWith checks a configuration against the schema that the function declares. An empty with stands for {}. A
// function without a schema takes only {}.
func (p *Plugin) ValidateWith(_ string, _ json.RawMessage) error {
	return errors.New("sandbox: validation is not finished")
}

// Close refuses further calls. Calls that run are left to end; instances are freed as they do. Further calls return nil.
func (p *Plugin) Close() error { return nil }

// Call is one request to one function.
type Call struct {
	Function string
	// With is the node's configuration, a JSON object; empty stands for {}. Instances are kept by configuration, so give
	// equal configurations as equal bytes.
	With json.RawMessage
	// Inputs are in the order of the function's ports; the zero Value is an absent one. They may be shorter than the
	// ports when the rest is optional. Their memory is read during the call only.
	Inputs []value.Value
	// RequestID is told to the guest and seeds its randomness.
	RequestID uint64
	// MaxFuel bounds the work; 0 means only the deadline does. One unit is about one instruction.
	MaxFuel uint64
	// Lease asks for outputs that are the guest's own memory where possible, not copied, valid until Release.
	Lease    bool
	Services Services
}

// Result is the answer of one call. The caller must Release it when it no longer reads Outputs.
type Result struct {
	// Outputs are in the order of the function's ports; the zero Value is an absent one.
	Outputs []value.Value
	// Outcome is 0 or one of the outcomes 1..255 that the function declared.
	Outcome int
	// Fuel is the work done, in units of about one instruction.
	Fuel uint64
	// BytesIn and BytesOut count payload bytes that were copied into and out of the guest.
	BytesIn, BytesOut int64
	// Wait is the time spent waiting for an instance; Run the time inside the guest.
	Wait, Run time.Duration
}

// Release gives the instance back. With Call.Lease the outputs must not be read afterwards; otherwise they stay valid.
// It must be called once or more; calls after the first do nothing. It may be called from any goroutine.
func (r *Result) Release() {}

// Call runs one function and waits for it. A context without a deadline gets Config.CallTimeout. The guest stops within
// about a millisecond after ctx ends.
//
// Every error is a [*CallError]. After an error there is nothing to release.
func (p *Plugin) Call(_ context.Context, _ Call) (*Result, error) {
	return nil, errors.New("sandbox: call is not finished")
}
