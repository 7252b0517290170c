package plugin

import (
	"unsafe"
)

// wasmHost reaches the server through the imports of ABI version 1.
type wasmHost struct{}

//go:wasmimport tdm1 log
func importLog(level int32, text unsafe.Pointer, n uint32)

//go:wasmimport tdm1 record
func importRecord(stream unsafe.Pointer, streamLen uint32, doc unsafe.Pointer, n uint32) int32

//go:wasmimport tdm1 metric
func importMetric(kind int32, name unsafe.Pointer, n uint32, v float64) int32

//go:wasmimport tdm1 now_ns
func importNow() int64

func (wasmHost) Log(level Level, message string) {
	importLog(int32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

func (wasmHost) Record(stream string, doc JSON) error {
	return hostError(importRecord(unsafe.Pointer(unsafe.StringData(stream)), uint32(len(stream)),
		unsafe.Pointer(unsafe.SliceData(doc)), uint32(len(doc))))
}

func (wasmHost) Metric(kind MetricKind, name string, v float64) error {
	return hostError(importMetric(int32(kind), unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), v))
}

func (wasmHost) Now() int64 { return importNow() }

func hostError(code int32) error {
	switch {
	case code >= 0:
		return nil
	case code == -1:
		return ErrNotFound
	case code == -3:
		return ErrTooLarge
	case code == -4:
		return ErrQuota
	case code == -5:
		return ErrDeadline
	case code == -6:
		return ErrDenied
	case code == -8:
		return ErrModel
	default:
		return ErrHost
	}
}
