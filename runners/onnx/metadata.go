package onnx

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Metadata is what a model's file says of itself. Texts are cut at 4 KiB and made valid UTF-8.
type Metadata struct {
	Bytes           int64
	IRVersion       int64
	Opsets          map[string]int64 // by domain; "" is ai.onnx
	Producer        string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	Doc             string
	GraphName       string
	// Properties are the producer's own; at most 64 of them.
	Properties map[string]string
	Nodes      int
	// WeightBytes is what the weights and constants take, strings apart.
	WeightBytes int64
	// Dynamic tells that some input's shape is not fixed.
	Dynamic bool
	// Operators counts the nodes by operator, the operators of other domains than ai.onnx as domain.operator.
	Operators map[string]int
}

const (
	maxText       = 4 << 10
	maxProperties = 64
)

// set takes over one field of a ModelProto.
func (m *Metadata) set(f field) {
	switch {
	case f.isInt(1):
		m.IRVersion = int64(f.value)
	case f.is(2):
		m.Producer = clip(f.bytes)
	case f.is(3):
		m.ProducerVersion = clip(f.bytes)
	case f.is(4):
		m.Domain = clip(f.bytes)
	case f.isInt(5):
		m.ModelVersion = int64(f.value)
	case f.is(6):
		m.Doc = clip(f.bytes)
	case f.is(8):
		m.opset(f.bytes)
	case f.is(14):
		m.property(f.bytes)
	}
}

func (m *Metadata) opset(b []byte) {
	var domain string
	var version int64
	for f := range sound(b) {
		switch {
		case f.is(1):
			domain = clip(f.bytes)
		case f.isInt(2):
			version = int64(f.value)
		}
	}
	if len(m.Opsets) < maxProperties {
		m.Opsets[domain] = version
	}
}

func (m *Metadata) property(b []byte) {
	if m.Properties == nil {
		m.Properties = map[string]string{}
	}
	if len(m.Properties) < maxProperties {
		maps.Copy(m.Properties, entry(b))
	}
}

// entry reads a StringStringEntryProto as a map of one.
func entry(b []byte) map[string]string {
	var key, value string
	for f := range sound(b) {
		switch {
		case f.is(1):
			key = clip(f.bytes)
		case f.is(2):
			value = clip(f.bytes)
		}
	}
	return map[string]string{key: value}
}

// clip returns b as valid text of at most maxText bytes.
func clip(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\uFFFD")
}

// validName reports whether b may stand in a signature.
func validName(b []byte) bool {
	return len(b) > 0 && len(b) <= maxText && utf8.Valid(b)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
