//go:build cgo && (linux || darwin)

package onnx

// HandleOf is what reads the binding's session options.
var HandleOf = handleOf
