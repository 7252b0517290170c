package plugin

import (
	"errors"
	"runtime"
	"unsafe"
)

//go:wasmimport tdm1 model_open
func importModelOpen(name unsafe.Pointer, n uint32) int32

//go:wasmimport tdm1 model_run
func importModelRun(model int32, in unsafe.Pointer, numIn uint32, out unsafe.Pointer, numOut uint32) int32

//go:wasmimport tdm1 model_start
func importModelStart(model int32, in unsafe.Pointer, numIn uint32) int32

//go:wasmimport tdm1 model_wait
func importModelWait(ticket uint32, out unsafe.Pointer, numOut uint32, timeoutMS int32) int32

//go:wasmimport tdm1 wait_any
func importWaitAny(tickets unsafe.Pointer, n uint32, timeoutMS int32) int32

//go:wasmimport tdm1 val_read
func importValRead(handle uint32, offset int64, dst unsafe.Pointer, n uint32) int32

//go:wasmimport tdm1 val_drop
func importValDrop(handle uint32) int32

var _ ModelHost = wasmHost{}

func (wasmHost) OpenModel(name string) (int32, error) {
	n := importModelOpen(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)))
	return n, hostError(n)
}

func (wasmHost) RunModel(model int32, in []Named, outputs []string) ([]Named, error) {
	args, err := descriptors(in)
	if err != nil {
		return nil, err
	}
	out := wanted(outputs)
	rc := importModelRun(model, pointer(args), uint32(len(args)), pointer(out), uint32(len(out)))
	runtime.KeepAlive(in)
	if err := hostError(rc); err != nil {
		return nil, err
	}
	return fetch(out, outputs)
}

func (wasmHost) StartModel(model int32, in []Named) (uint32, error) {
	args, err := descriptors(in)
	if err != nil {
		return 0, err
	}
	ticket := importModelStart(model, pointer(args), uint32(len(args)))
	runtime.KeepAlive(in)
	return uint32(ticket), hostError(ticket)
}

func (wasmHost) WaitModel(ticket uint32, outputs []string, timeoutMS int32) ([]Named, error) {
	out := wanted(outputs)
	if err := hostError(importModelWait(ticket, pointer(out), uint32(len(out)), timeoutMS)); err != nil {
		return nil, err
	}
	return fetch(out, outputs)
}

func (wasmHost) WaitAnyModel(tickets []uint32, timeoutMS int32) (int, error) {
	i := importWaitAny(unsafe.Pointer(unsafe.SliceData(tickets)), uint32(len(tickets)), timeoutMS)
	return int(i), hostError(i)
}

// descriptors describes the inputs of a model. They point at in's memory, which is moved where it is not aligned.
func descriptors(in []Named) ([]value, error) {
	out := make([]value, len(in))
	for i := range in {
		out[i] = value{kind: kindTensor}
		out[i].setName(in[i].Name)
		in[i].Tensor.Data = aligned(in[i].Tensor.Data) // so that in keeps alive what the server reads
		if err := storeAny(&module.memory, nil, unsafe.Pointer(&in[i].Tensor), &out[i]); err != nil {
			return nil, errors.New("model input " + in[i].Name + ": " + err.Error())
		}
	}
	return out, nil
}

// wanted asks for outputs that stay on the host's side.
func wanted(outputs []string) []value {
	out := make([]value, len(outputs))
	for i := range out {
		out[i].setName(outputs[i])
	}
	return out
}

func (v *value) setName(name string) {
	v.namePtr, v.nameLen = uint32(uintptr(unsafe.Pointer(unsafe.StringData(name)))), uint32(len(name))
}

// fetch copies outputs from the host's side.
func fetch(vs []value, names []string) ([]Named, error) {
	out := make([]Named, len(vs))
	for i := range vs {
		v := &vs[i]
		data := alignedBytes(int(v.dataLen))
		if n := importValRead(v.handle, 0, unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data))); int(n) != len(data) {
			return nil, ErrHost
		}
		importValDrop(v.handle)
		out[i].Name = names[i]
		if v.kind == kindJSON {
			out[i].JSON = data
			continue
		}
		shape, _, err := shapeOf(v)
		if err != nil {
			return nil, err
		}
		out[i].Tensor = AnyTensor{DType: DType(v.dtype), Shape: append([]int64(nil), shape...), Data: data}
	}
	return out, nil
}

func pointer(vs []value) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(vs)) }
