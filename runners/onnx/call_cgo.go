//go:build cgo && (linux || darwin)

package onnx

/*
#include <stdlib.h>
#include "shim.h"

#cgo noescape tdm_run
#cgo nocallback tdm_run
#cgo nocallback tdm_release_value
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/tandem-serve/tandem/runners"
)

// call is the state of one run. Its native part is allocated once and used again, so that a run into the caller's memory
// allocates nothing.
type call struct {
	model     *Model
	native    *C.tdm_call
	tensors   []C.tdm_tensor // native's, the inputs, then the outputs
	pins      runtime.Pinner
	terminate func()
	stopped   chan struct{} // has a token when terminate has run
}

func newCall(m *Model) (*call, error) {
	c := &call{model: m, stopped: make(chan struct{}, 1)}
	var f C.tdm_error
	if C.tdm_call_new(m.session, &c.native, &f) != 0 {
		return nil, fmt.Errorf("%w: %w", runners.ErrRun, fault(&f))
	}
	c.tensors = unsafe.Slice(c.native.tensors, m.session.inputs+m.session.outputs)
	c.terminate = func() {
		C.tdm_terminate(c.native)
		c.stopped <- struct{}{}
	}
	return c, nil
}

func (c *call) run(ctx context.Context, in, out []runners.Tensor) error {
	outputs := c.tensors[len(in):]
	for i := range in {
		c.lend(&c.tensors[i], &in[i])
	}
	for i := range out {
		c.prepare(&outputs[i], &c.model.signature.Outputs[i], &out[i])
	}
	code := c.runNative(ctx)
	c.pins.Unpin()
	if c.native.log_waiting > 0 {
		c.model.runtime.drainLog(ctx)
	}
	if code != 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("run model: %w", err)
		}
		return c.fault()
	}
	return c.collect(out)
}

// runNative runs the model and ends the run when ctx is done before it. The wait for terminate, once that has started, keeps
// it from ending the next run of the same state.
func (c *call) runNative(ctx context.Context) C.int {
	if ctx.Done() == nil {
		return C.tdm_run(c.native)
	}
	stop := context.AfterFunc(ctx, c.terminate)
	code := C.tdm_run(c.native)
	if !stop() {
		<-c.stopped
		C.tdm_rearm(c.native)
	}
	return code
}

// lend lets the run use t's memory, pinned until it has ended.
func (c *call) lend(n *C.tdm_tensor, t *runners.Tensor) {
	n.dtype = C.int(t.DType)
	n.rank = C.size_t(len(t.Shape))
	n.size = C.size_t(len(t.Data))
	n.caller_shape = c.pin(unsafe.Pointer(unsafe.SliceData(t.Shape)), len(t.Shape))
	n.caller_data = c.pin(unsafe.Pointer(unsafe.SliceData(t.Data)), len(t.Data))
}

func (c *call) pin(p unsafe.Pointer, n int) C.uintptr_t {
	if n == 0 {
		return 0
	}
	c.pins.Pin(p)
	return C.uintptr_t(uintptr(p))
}

// prepare says what is to become of an output. Strings and JSON have no size beforehand: they are copied into the caller's
// memory after the run.
func (c *call) prepare(n *C.tdm_tensor, p *runners.Port, t *runners.Tensor) {
	switch {
	case p.JSON:
		n.how = C.TDM_WALK
	case t.Data != nil && p.DType != runners.BYTES:
		n.how = C.TDM_BIND
		c.lend(n, t)
	default:
		n.how = C.TDM_ADOPT
	}
}

// collect hands the outputs over. When one of them is no good, those handed over already are taken back.
func (c *call) collect(out []runners.Tensor) error {
	ports := c.model.signature.Outputs
	outputs := c.tensors[len(c.tensors)-len(out):]
	var failed error
	for i := range out {
		if outputs[i].how == C.TDM_BIND {
			continue
		}
		got, err := c.adopt(&outputs[i])
		switch {
		case failed != nil:
			got.Release()
			continue
		case err == nil:
			err = out[i].Deliver(got)
		}
		if err != nil {
			failed = fmt.Errorf("output %q: %w", ports[i].Name, err)
		}
	}
	if failed != nil {
		c.takeBack(out, outputs)
	}
	return failed
}

// takeBack releases what collect handed over before it failed; memory of the caller's stays where it was.
func (c *call) takeBack(out []runners.Tensor, outputs []C.tdm_tensor) {
	for i := range out {
		if outputs[i].how != C.TDM_BIND {
			out[i].Release()
		}
	}
}

// adopt makes a tensor of what a run left in n.
func (c *call) adopt(n *C.tdm_tensor) (runners.Tensor, error) {
	if n.how == C.TDM_WALK {
		defer C.free(n.data)
		return document(unsafe.Slice((*byte)(n.data), n.size))
	}
	shape := make([]int64, n.rank)
	for i, d := range unsafe.Slice(n.dims, n.rank) {
		shape[i] = int64(d)
	}
	data := []byte{}
	if n.size > 0 {
		data = unsafe.Slice((*byte)(n.data), n.size)
	}
	return runners.Adopted(runners.DType(n.dtype), shape, data, c.free(n)), nil
}

// free returns the function that gives back what a run left in n.
func (c *call) free(n *C.tdm_tensor) func() {
	if n.value == nil {
		memory := n.data
		return func() { C.free(memory) }
	}
	env, value := c.model.runtime.env, n.value
	return func() { C.tdm_release_value(env, value) }
}

// fault makes an error of a run that failed.
func (c *call) fault() error {
	f := &c.native.err
	text := C.GoString(&f.text[0])
	s := &c.model.signature
	at := int(c.native.at)
	var place string
	switch {
	case at < len(s.Inputs):
		place = fmt.Sprintf("input %q: ", s.Inputs[at].Name)
	case at < len(s.Inputs)+len(s.Outputs):
		place = fmt.Sprintf("output %q: ", s.Outputs[at-len(s.Inputs)].Name)
	}
	return fmt.Errorf("%s%w: %s", place, runErrorKind(int(f.code), text), shorten(text))
}
