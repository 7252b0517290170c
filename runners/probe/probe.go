// Package probe tells the owner of a model what a server would make of it, before it is pushed: [Read] says what the file
// says, without the native library; [Measure] loads and runs it.
//
// Measure runs native code on the file, in this process, which that may crash: callers that do not trust the file give it a
// process of its own. The package starts no goroutines and has no locks.
package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/onnx"
)

// Report is what is known of a model. It is written as JSON for programs.
type Report struct {
	SizeBytes int64  `json:"sizeBytes"`
	Digest    string `json:"digest"`
	Producer  string `json:"producer,omitempty"`
	// Opsets are the versions of the operator sets by domain.
	Opsets map[string]int64 `json:"opsets"`
	Nodes  int              `json:"nodes"`
	// Operators counts the nodes by operator, those of other domains than ai.onnx as domain.operator.
	Operators   map[string]int `json:"operators"`
	WeightBytes int64          `json:"weightBytes"`
	Inputs      []Port         `json:"inputs"`
	Outputs     []Port         `json:"outputs"`
	// NotBatched says why requests do not share runs; empty when they do.
	NotBatched string `json:"notBatched,omitempty"`
	// Faults say why the model cannot be served; none when it can, as far as is known.
	Faults []string `json:"faults,omitempty"`
	// Measured is what running it showed, nil when it was not run; NotMeasured says why.
	Measured    *Measured `json:"measured,omitempty"`
	NotMeasured string    `json:"notMeasured,omitempty"`
}

// Port is an input or output as graphs write it: "tensor FP32 [batch,3,?]", or "json".
type Port struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Dynamic names the dimensions whose size each request chooses; an unnamed one is its index.
	Dynamic []string `json:"dynamic,omitempty"`
}

// Read judges a model by its bytes alone.
func Read(model []byte, limits onnx.Limits) *Report {
	meta, err := onnx.Inspect(model, limits)
	digest := sha256.Sum256(model)
	r := &Report{
		SizeBytes: int64(len(model)), Digest: "sha256:" + hex.EncodeToString(digest[:]), Opsets: map[string]int64{},
		Producer: strings.TrimSpace(meta.Producer + " " + meta.ProducerVersion), Nodes: meta.Nodes,
		Operators: meta.Operators, WeightBytes: meta.WeightBytes,
	}
	for domain, version := range meta.Opsets {
		if domain == "" {
			domain = "ai.onnx"
		}
		r.Opsets[domain] = version
	}
	if err != nil {
		r.fault(err)
		return r
	}
	signature, err := onnx.Declared(model)
	if err != nil {
		r.fault(err)
	}
	r.describe(signature)
	return r
}

// fault takes over the reasons of an error, each on its own.
func (r *Report) fault(err error) {
	text := strings.TrimPrefix(err.Error(), runners.ErrModel.Error()+": ")
	for line := range strings.SplitSeq(text, "\n") {
		r.Faults = append(r.Faults, strings.Split(line, "; ")...)
	}
}

// describe takes over a signature.
func (r *Report) describe(s runners.Signature) {
	r.Inputs, r.Outputs = ports(s.Inputs), ports(s.Outputs)
	r.NotBatched = batch.Apart(s)
}

func ports(from []runners.Port) []Port {
	out := make([]Port, len(from))
	for i, p := range from {
		out[i] = Port{Name: p.Name, Type: typeOf(p)}
		for d, dim := range p.Dims {
			if dim.Size < 0 {
				out[i].Dynamic = append(out[i].Dynamic, dimName(dim, d))
			}
		}
	}
	return out
}
