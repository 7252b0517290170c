package value

import "unsafe"

// BytesOf returns the bytes of s without copying them. They must not be changed.
func BytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) } //nolint:gosec // G103: nobody changes values

// StringOf returns b as text without copying it. It lives as long as b does, which must not be changed meanwhile.
func StringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // G103: as above
