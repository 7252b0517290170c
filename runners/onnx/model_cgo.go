//go:build cgo && (linux || darwin)

package onnx

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"sync"

	"github.com/tandem-serve/tandem/runners"
)

var _ runners.Runner = (*Model)(nil)

// Model is one loaded model. It is a runners.Runner.
type Model struct {
	runtime   *Runtime
	session   *C.tdm_session
	signature runners.Signature
	copied    []bool // by output: ONNX Runtime cannot write it into the caller's memory
	metadata  Metadata
	placement Placement
	uses      runners.Drain

	mu   sync.Mutex // mu guards the following
	idle []*call    // states of runs, for use again; as many as ran at once at most
}

// Signature returns the model's inputs and outputs. The caller must not change it.
func (m *Model) Signature() runners.Signature { return m.signature }

// Metadata returns what the model's file says of itself.
func (m *Model) Metadata() Metadata { return m.metadata }

// Placement returns where the model runs.
func (m *Model) Placement() Placement { return m.placement }

// Run runs the model once, as runners.Runner says. Any number may run at once; each holds an operating system thread.
func (m *Model) Run(ctx context.Context, in, out []runners.Tensor) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run model: %w", err)
	}
	if err := m.signature.CheckInputs(in); err != nil {
		return err
	}
	if err := m.signature.CheckOutputs(out); err != nil {
		return err
	}
	if !m.uses.Enter() {
		return runners.ErrClosed
	}
	defer m.uses.Leave()
	c, err := m.acquire()
	if err != nil {
		return err
	}
	defer m.release(c)
	return c.run(ctx, in, out)
}

// Close waits for running calls and frees the model. It may be called more than once; every call returns when all is freed.
func (m *Model) Close() error {
	m.uses.Close(m.free)
	return nil
}

// acquire returns the state of a run that ended, or a new one.
func (m *Model) acquire() (*call, error) {
	m.mu.Lock()
	if n := len(m.idle); n > 0 {
		c := m.idle[n-1]
		m.idle = m.idle[:n-1]
		m.mu.Unlock()
		return c, nil
	}
	m.mu.Unlock()
	return newCall(m)
}

func (m *Model) release(c *call) {
	m.mu.Lock()
	m.idle = append(m.idle, c)
	m.mu.Unlock()
}

// free frees what the model holds, when nothing runs and nothing will.
func (m *Model) free() {
	for _, c := range m.idle {
		C.tdm_call_free(c.native)
	}
	m.idle = nil
	C.tdm_unload(m.session)
}
