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
	pins      []runtime.Pinner
	terminate func()
	stopped   chan struct{} // has a token when terminate has run
}

// pinsEach is how many pointers a Pinner holds without allocating.
const pinsEach = 5

func newCall(m *Model) (*call, error) {
	c := &call{model: m, stopped: make(chan struct{}, 1)}
	var f C.tdm_error
	if C.tdm_call_new(m.session, &c.native, &f) != 0 {
		return nil, fmt.Errorf("%w: %w", runners.ErrRun, fault(&f))
	}
	c.tensors = unsafe.Slice(c.native.tensors, m.session.inputs+m.session.outputs)
	c.pins = make([]runtime.Pinner, (len(c.tensors)+pinsEach-1)/pinsEach)
	c.terminate = func() {
		C.tdm_terminate(c.native)
		c.stopped <- struct{}{}
	}
	return c, nil
}

func (c *call) run(ctx context.Context, in, out []runners.Tensor) error {
	defer c.unpin()
	for i := range in {
		if err := c.lend(i, &in[i]); err != nil {
			return err
		}
	}
	for i := range out {
		if err := c.prepare(len(in)+i, i, &out[i]); err != nil {
			return err
		}
	}
	code := c.runNative(ctx)
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

// lend lets the run use t's memory as its tensor i, pinned until unpin.
func (c *call) lend(i int, t *runners.Tensor) error {
	n := &c.tensors[i]
	if len(t.Shape) > int(n.dims_cap) && !bool(C.tdm_reserve(n, C.size_t(len(t.Shape)))) {
		return fmt.Errorf("%w: out of memory", runners.ErrRun)
	}
	for d, size := range t.Shape {
		unsafe.Slice(n.dims, n.dims_cap)[d] = C.int64_t(size)
	}
	n.dtype, n.rank, n.size, n.caller_data = C.int(t.DType), C.size_t(len(t.Shape)), C.size_t(len(t.Data)), 0
	if len(t.Data) > 0 {
		p := unsafe.Pointer(unsafe.SliceData(t.Data))
		c.pins[i/pinsEach].Pin(p)
		n.caller_data = C.uintptr_t(uintptr(p))
	}
	return nil
}

func (c *call) unpin() {
	for i := range c.pins {
		c.pins[i].Unpin()
	}
}

// prepare says what is to become of tensor i, which is output o.
func (c *call) prepare(i, o int, t *runners.Tensor) error {
	switch n := &c.tensors[i]; {
	case c.model.signature.Outputs[o].JSON:
		n.how = C.TDM_WALK
	case t.Data != nil && !c.model.copied[o]:
		n.how = C.TDM_BIND
		return c.lend(i, t)
	default:
		n.how = C.TDM_ADOPT
	}
	return nil
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
