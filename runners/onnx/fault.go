package onnx

import (
	"path"
	"slices"
	"strings"

	"github.com/tandem-serve/tandem/runners"
)

const (
	codeInvalidArgument = 2 // ORT_INVALID_ARGUMENT
	maxFault            = 512
)

// runErrorKind tells whether what a run reported is the request's fault or the model's. ONNX Runtime has one code for both,
// so its words decide (TestRunErrors holds them to the version in use): it names the node when an operator failed, and
// otherwise refused the inputs or the memory given for outputs.
func runErrorKind(code int, text string) error {
	switch {
	case strings.Contains(text, "The output OrtValue provided for output"), strings.Contains(text, "shape verification failed"),
		strings.HasPrefix(text, "Tensor size mismatch"): // of what a device copies back
		return runners.ErrShape
	case strings.Contains(text, "while running"):
		return runners.ErrRun
	case code == codeInvalidArgument:
		return runners.ErrShape
	}
	return runners.ErrRun
}

// shorten makes ONNX Runtime's message fit for people: one line, without the place in its sources, at most 512 bytes.
func shorten(text string) string {
	words := strings.Fields(text)
	words = slices.DeleteFunc(words, func(w string) bool {
		return strings.HasPrefix(w, "/onnxruntime") || strings.Contains(w, "/onnxruntime/core/")
	})
	text = strings.ToValidUTF8(strings.Join(words, " "), "\uFFFD")
	if len(text) > maxFault {
		text = strings.ToValidUTF8(text[:maxFault], "") + "..."
	}
	return text
}

// lack makes what ONNX Runtime says of a provider that cannot be used fit for people, and adds what to do about it.
func lack(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	for _, mark := range []string{" : FAIL : ", " was false. "} {
		if i := strings.LastIndex(text, mark); i >= 0 {
			text = text[i+len(mark):]
		}
	}
	words := strings.Fields(shorten(text))
	for i, w := range words {
		if strings.HasPrefix(w, "/") {
			words[i] = path.Base(w) // callers are told; where the server keeps its files is not their business
		}
	}
	text = strings.Join(words, " ")
	switch {
	case strings.Contains(text, "libonnxruntime_providers_"):
		text += ": the provider's library and those that it needs must lie where the system finds them; ONNX Runtime's GPU package has it"
	case strings.Contains(text, "WebGPU adapter"):
		text += ": the machine has no Vulkan driver that WebGPU can use"
	}
	return text
}
