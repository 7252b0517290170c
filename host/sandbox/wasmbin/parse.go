package wasmbin

// Parse decodes and checks a module. It refuses what is malformed or invalid, what exceeds lim, every feature outside
// MVP, multi-value, sign extension, saturating conversion, bulk memory and 128-bit SIMD, and every import that is not in
// allowed with exactly the same signature. It returns a single [*Error] or several joined ones; [Reasons] lists them.
func Parse(bin []byte, lim Limits, allowed []Import) (*Module, error) {
	return nil, &Error{Code: CodeUnsupported, Offset: -1, Func: -1, Text: "the parser is not finished"}
}
