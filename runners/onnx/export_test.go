package onnx

// What the tests in onnx_test look into.
var (
	RunErrorKind = runErrorKind
	Shorten      = shorten
	Document     = document
	Lack         = lack
)
