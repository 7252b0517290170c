//go:build cgo && (linux || darwin)

package onnx

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/tandem-serve/tandem/runners"
)

// Providers returns the execution providers that the library was built with, by our names where we have one. That it has
// one does not mean that the machine has what it needs.
func (r *Runtime) Providers() []string {
	const room = 4 << 10
	names := (*C.char)(C.malloc(room))
	defer C.free(unsafe.Pointer(names))
	C.tdm_providers(r.env, names, room)
	var out []string
	for name := range strings.SplitSeq(C.GoString(names), ",") {
		out = append(out, providerName(name))
	}
	return out
}

// loading is one model that is being loaded.
type loading struct {
	runtime *Runtime
	model   []byte
	options Options
	meta    Metadata
}

// place makes a session on the first of the wanted providers that takes the model, or on the CPU.
func (l *loading) place(ctx context.Context) (*C.tdm_session, Placement, error) {
	var missed []string
	for _, on := range l.options.Providers.On {
		if on.Device < 0 && on.Name != WebGPU {
			on.Device = max(l.options.Device, 0)
		}
		session, operators, err := l.on(ctx, on)
		switch {
		case err == nil:
			return session, Placement{Provider: on.Name, Device: on.Device, Operators: operators, Missed: missed}, nil
		case ctx.Err() != nil:
			return nil, Placement{}, err
		}
		missed = append(missed, on.String()+": "+lack(err.Error()))
	}
	session, err := l.session(ctx, nil)
	if err != nil {
		// The CPU does not take it either: it is the model, not the provider.
		return nil, Placement{}, err
	}
	if l.options.Providers.Require {
		C.tdm_unload(session)
		return nil, Placement{}, fmt.Errorf("%w: the model must not run on the CPU (%s): %s", runners.ErrUnavailable,
			l.options.Providers, strings.Join(missed, "; "))
	}
	return session, Placement{Provider: CPU, Device: AnyDevice, Missed: missed}, nil
}

// on makes a session on one provider and counts the operators that each provider took.
func (l *loading) on(ctx context.Context, on Provider) (*C.tdm_session, map[string]int, error) {
	if offered := l.runtime.Providers(); !slices.Contains(offered, on.Name) {
		return nil, nil, fmt.Errorf("this ONNX Runtime %s was built without it, with %s only", l.runtime.version, strings.Join(offered, ", "))
	}
	session, err := l.session(ctx, &on)
	if err != nil {
		return nil, nil, err
	}
	operators, err := placed(session)
	if err == nil && operators[on.Name] == 0 {
		err = errors.New("it takes none of the model's operators")
	}
	if err != nil {
		C.tdm_unload(session)
		return nil, nil, err
	}
	return session, operators, nil
}

// placed counts the operators by provider.
func placed(session *C.tdm_session) (map[string]int, error) {
	var rows [maxProviders]C.tdm_placed
	var n C.size_t
	var f C.tdm_error
	if C.tdm_placement(session, &rows[0], maxProviders, &n, &f) != 0 {
		return nil, fault(&f)
	}
	out := make(map[string]int, n)
	for i := range rows[:n] {
		out[providerName(C.GoString(&rows[i].provider[0]))] += int(rows[i].operators)
	}
	return out, nil
}

// extend adds a provider to the options of a session.
func extend(native *ort.SessionOptions, on Provider) error {
	// Without it ONNX Runtime does not tell which provider got which operator.
	if err := native.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1"); err != nil {
		return err
	}
	switch on.Name {
	case TensorRT:
		if err := extendTensorRT(native, on.Device); err != nil {
			return err
		}
		// What TensorRT does not know runs on the same device through CUDA.
		return extendCUDA(native, on.Device)
	case CUDA:
		return extendCUDA(native, on.Device)
	}
	// ONNX Runtime 1.30 counts no operators in the other layout.
	return native.AppendExecutionProvider("WebGPU", map[string]string{"preferredLayout": "NCHW"})
}

func extendCUDA(native *ort.SessionOptions, device int) (err error) {
	options, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	err = options.Update(map[string]string{
		"device_id": strconv.Itoa(device),
		// As exact as the CPU: TF32 keeps ten bits of a factor.
		"use_tf32": "0",
		// The default tries every algorithm for every shape that is new: seconds for a model whose rows and widths vary.
		"cudnn_conv_algo_search": "HEURISTIC",
		// Several models share a device; doubling would take half of what is left.
		"arena_extend_strategy": "kSameAsRequested",
	})
	if err != nil {
		return err
	}
	return native.AppendExecutionProviderCUDA(options)
}

func extendTensorRT(native *ort.SessionOptions, device int) (err error) {
	options, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := options.Update(map[string]string{"device_id": strconv.Itoa(device)}); err != nil {
		return err
	}
	return native.AppendExecutionProviderTensorRT(options)
}

// tell logs that a model runs elsewhere than wanted.
func (r *Runtime) tell(ctx context.Context, p Placement) {
	if len(p.Missed) > 0 {
		r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "model runs on another execution provider than the first that is preferred",
			slog.String("provider", p.Provider), slog.Any("missed", p.Missed))
	}
}
