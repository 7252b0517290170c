package abi

import "fmt"

// Kind says what a value is.
type Kind uint8

// Kinds of a value, with the numbers that stand in a value descriptor.
const (
	KindNone   Kind = 0
	KindTensor Kind = 1 // dtype, shape, little-endian row-major data
	KindBytes  Kind = 2 // opaque bytes with a media type
	KindText   Kind = 3 // UTF-8
	KindJSON   Kind = 4 // one JSON document, UTF-8
	KindImage  Kind = 5 // an encoded image (JPEG, PNG, WebP, GIF)
	KindList   Kind = 6 // an array of value descriptors of one other kind
)

var kindNames = [...]string{"none", "tensor", "bytes", "text", "json", "image", "list"}

// String returns the kind's name as graphs and descriptions write it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind returns the kind with the given name; ok is false for an unknown one and for "none".
func ParseKind(s string) (k Kind, ok bool) {
	for i, n := range kindNames {
		if i > 0 && n == s {
			return Kind(i), true
		}
	}
	return KindNone, false
}
