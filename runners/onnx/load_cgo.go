//go:build cgo && (linux || darwin)

package onnx

/*
#include <stdlib.h>
#include "shim.h"

#cgo noescape tdm_load
#cgo nocallback tdm_load
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/tandem-serve/tandem/runners"
)

// LoadFile loads the model in the file at path. See [Runtime.Load].
func (r *Runtime) LoadFile(ctx context.Context, path string, options Options) (*Model, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	return r.Load(ctx, model, options)
}

// Load checks the model's bytes and makes a runner of them; they are not kept. It stops soon after ctx is done. What is wrong
// with the model is an error that wraps runners.ErrModel; what the library or the machine lacks of a required provider wraps
// runners.ErrUnavailable.
func (r *Runtime) Load(ctx context.Context, model []byte, options Options) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	meta, err := Inspect(model, options.Limits)
	if err != nil {
		return nil, err
	}
	l := loading{runtime: r, model: model, options: options, meta: meta}
	session, placement, err := l.place(ctx)
	r.drainLog(ctx)
	if err != nil {
		return nil, err
	}
	r.tell(ctx, placement)
	m := &Model{runtime: r, session: session, metadata: meta, placement: placement}
	if err := m.describe(); err != nil {
		C.tdm_unload(session)
		return nil, err
	}
	return m, nil
}

// session makes ONNX Runtime's session on a provider, nil for the CPU.
func (l *loading) session(ctx context.Context, on *Provider) (*C.tdm_session, error) {
	native, err := l.sessionOptions(on)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	session, err := l.runtime.create(ctx, l.model, native, l.options.Threads <= 0)
	if destroyErr := native.Destroy(); err == nil && destroyErr != nil {
		C.tdm_unload(session)
		return nil, fmt.Errorf("load model: %w", destroyErr)
	}
	return session, err
}

func (r *Runtime) create(ctx context.Context, model []byte, options *ort.SessionOptions, shared bool) (*C.tdm_session, error) {
	handle := handleOf(options)
	if handle == nil {
		return nil, fmt.Errorf("%w: the binding's session options hold no handle", runners.ErrUnavailable)
	}
	var f C.tdm_error
	if shared && C.tdm_share_threads(r.env, handle, &f) != 0 {
		return nil, fmt.Errorf("load model: %w", fault(&f))
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.tdm_cancel_load(r.env, handle)
		close(stopped)
	})
	var session *C.tdm_session
	code := C.tdm_load(r.env, handle, unsafe.Pointer(unsafe.SliceData(model)), C.size_t(len(model)), &session, &f)
	if !stop() {
		<-stopped
	}
	switch {
	case code == 0:
		return session, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("load model: %w", ctx.Err())
	}
	return nil, fmt.Errorf("%w: %w", runners.ErrModel, fault(&f))
}

func (l *loading) sessionOptions(on *Provider) (*ort.SessionOptions, error) {
	native, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	threads := max(l.options.Threads, 1) // not used when they are shared
	spin := "0"
	if l.options.Spin {
		spin = "1"
	}
	err = errors.Join(
		native.SetIntraOpNumThreads(threads),
		native.SetInterOpNumThreads(1),
		// A pattern is planned for one shape: with open dimensions it would hold memory for every shape ever seen.
		native.SetMemPattern(!l.meta.Dynamic),
		native.AddSessionConfigEntry("session.intra_op.allow_spinning", spin),
		native.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		// What was checked is ONNX; do not let the library guess another format from the bytes.
		native.AddSessionConfigEntry("session.load_model_format", "ONNX"),
	)
	if err == nil && on != nil {
		err = extend(native, *on)
	}
	if err != nil {
		return nil, errors.Join(err, native.Destroy())
	}
	return native, nil
}

// handleOf returns the OrtSessionOptions that the binding's options hold in their one field. The binding has no way for
// DisablePerSessionThreads, for loading with cancellation, or for a session whose names are not known beforehand; the shim
// does these with the handle. TestHandleOf fails when a new version of the binding keeps it elsewhere.
func handleOf(o *ort.SessionOptions) unsafe.Pointer {
	field := reflect.ValueOf(o).Elem().FieldByName("o")
	if !field.IsValid() || field.Kind() != reflect.Pointer {
		return nil
	}
	return field.UnsafePointer()
}

// describe reads the signature. What it has that no runner can carry is an error with every reason.
func (m *Model) describe() error {
	s := m.session
	var faults []error
	for i := range int(s.inputs + s.outputs) {
		name := C.GoString(unsafe.Slice(s.names, s.inputs+s.outputs)[i])
		port, err := m.port(i)
		port.Name = name
		if i < int(s.inputs) {
			if err == nil && port.JSON {
				err = errJSONInput
			}
			if err != nil {
				err = fmt.Errorf("input %q: %w", name, err)
			}
			m.signature.Inputs = append(m.signature.Inputs, port)
		} else {
			if err != nil {
				err = fmt.Errorf("output %q: %w", name, err)
			}
			m.signature.Outputs = append(m.signature.Outputs, port)
		}
		faults = append(faults, err)
	}
	// Strings have no size beforehand. What a device copies back is compared with the caller's memory by size alone, so there
	// the shape must follow from the size. Where the model hands an input through under its own name, ONNX Runtime leaves memory
	// that was bound to the output as it is, and says nothing.
	for _, out := range m.signature.Outputs {
		through := slices.ContainsFunc(m.signature.Inputs, func(in runners.Port) bool { return in.Name == out.Name })
		unsure := m.placement.Provider != CPU && !sizeTellsShape(out)
		m.copied = append(m.copied, out.DType == runners.BYTES || through || unsure)
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w: %w", runners.ErrModel, err)
	}
	return nil
}

// sizeTellsShape reports whether two tensors of the port that are equally large have the same shape.
func sizeTellsShape(p runners.Port) bool {
	open := 0
	for _, d := range p.Dims {
		if d.Size < 0 {
			open++
		}
	}
	return p.Dims != nil && open <= 1
}

// Kinds of values, ONNXType.
const (
	kindTensor   = 1
	kindSequence = 2
	kindMap      = 3
)

// port describes input or output i, counted through both, without its name.
func (m *Model) port(i int) (runners.Port, error) {
	var p C.tdm_port
	var f C.tdm_error
	defer C.tdm_port_free(m.session, &p)
	if C.tdm_describe(m.session, C.size_t(i), &p, &f) != 0 {
		return runners.Port{}, fault(&f)
	}
	switch p.kind {
	case kindTensor:
	case kindSequence, kindMap:
		return runners.Port{DType: runners.BYTES, Dims: []runners.Dim{}, JSON: true}, nil
	default:
		return runners.Port{}, fmt.Errorf("it is of kind %d: only tensors, sequences and maps are carried", p.kind)
	}
	port := runners.Port{DType: runners.DType(p.dtype)}
	if p.dtype < 0 || p.dtype > 255 || !port.DType.Valid() {
		return port, fmt.Errorf("its elements are of the data type %d, which is not carried", p.dtype)
	}
	if bool(p.ranked) {
		port.Dims = make([]runners.Dim, p.rank)
	}
	for d := range port.Dims {
		size := int64(unsafe.Slice(p.dims, p.rank)[d])
		port.Dims[d] = runners.Dim{Size: max(size, -1)}
		if size < 0 {
			port.Dims[d].Name = C.GoString(unsafe.Slice(p.names, p.rank)[d])
		}
	}
	return port, nil
}
