package lint

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// mayImport maps a layer (a path below the module) to the layers that it may import. A package belongs to the longest
// layer that is a prefix of its path. A package in no layer fails the test, so a new folder is placed here first; a layer
// that nothing is in yet is one that the design names.
var mayImport = map[string][]string{
	// Leaves.
	"proto/gen":                          {},
	"host/sandbox/abi":                   {},
	"host/sandbox/wasmbin":               {},
	"host/value":                         {"host/sandbox/abi"},
	"host/imaging":                       {},
	"host/telemetry":                     {"host/tenant"},
	"host/console":                       {},
	"host/tenant":                        {},
	"host/tenant/system":                 {"host/tenant"},
	"host/tenant/oidc":                   {"host/tenant"},
	"internal/confine":                   {},
	"internal/pieces":                    {},
	"internal/pulse":                     {},
	"internal/schedclass":                {},
	"internal/spare":                     {"internal/pieces"},
	"internal/schedclass/schedclasstest": {},
	"host/background":                    {"internal/schedclass", "internal/pulse"},

	// Native model execution: nothing of host/.
	"runners":               {},
	"runners/fake":          {"runners"},
	"runners/runnertest":    {"runners"},
	"runners/batch":         {"runners", "internal/pieces"},
	"runners/plan":          {"runners"},
	"runners/madeup":        {"runners", "runners/batch"},
	"runners/oip":           {"runners", "proto/gen"},
	"runners/onnx/ortlib":   {},
	"runners/onnx/onnxtest": {"runners"},
	"runners/onnx":          {"runners", "runners/onnx/ortlib"},
	"runners/probe":         {"runners", "runners/onnx", "runners/onnx/ortlib", "runners/onnx/onnxtest", "runners/batch", "runners/madeup"},
	"runners/worker":        {"runners", "runners/onnx", "runners/onnx/ortlib", "internal/confine", "internal/pieces", "internal/schedclass"},

	// The server, from below to above.
	"host/sandbox": {"host/sandbox/abi", "host/sandbox/wasmbin", "host/value", "host/background", "internal/confine", "internal/pieces", "internal/spare"},
	"host/graph":   {"runners", "host/sandbox/abi"},
	"host/blob":    {"host/tenant", "internal/pieces"},
	"host/catalog": {"host/blob", "host/tenant"},
	"host/record":  {"host/catalog", "host/tenant"},
	"host/usage":   {"host/catalog", "host/tenant"},
	"host/audit":   {"host/catalog", "host/tenant"},
	"host/quota":   {"host/tenant"},
	"host/engine": {
		"host/graph", "host/sandbox", "host/sandbox/abi", "host/value", "host/imaging", "host/tenant", "host/background",
		"runners", "runners/batch", "runners/plan", "internal/pieces",
	},
	"host/control": {
		"host/engine", "host/graph", "host/sandbox", "host/sandbox/abi", "host/value", "host/catalog", "host/blob", "host/tenant",
		"host/tenant/system", "runners", "runners/batch", "runners/plan", "runners/madeup",
	},
	"host/api/wire": {"internal/pieces", "internal/spare", "host/value"},
	"host/api": {
		"proto/gen", "host/control", "host/engine", "host/graph", "host/sandbox", "host/sandbox/abi", "host/value", "host/imaging",
		"host/catalog", "host/blob", "host/tenant", "host/record", "host/usage", "host/audit", "host/quota", "host/background", "host/tenant/oidc", "host/api/wire",
		"runners", "runners/batch",
	},
	"host/server": {
		"proto/gen", "host/api", "host/control", "host/engine", "host/graph", "host/sandbox", "host/sandbox/abi", "host/value", "host/imaging",
		"host/catalog", "host/blob", "host/tenant", "host/tenant/system", "host/record", "host/usage", "host/audit", "host/quota", "host/background", "host/console", "host/telemetry",
		"runners", "runners/batch", "runners/plan", "runners/onnx", "runners/onnx/ortlib", "runners/worker", "runners/oip",
	},
	"cmd/tandem": {
		"host/server", "host/telemetry", "host/sandbox", "host/graph", "host/tenant", "host/tenant/oidc", "runners/onnx", "runners/probe", "runners/madeup", "runners/worker", "sdk/client", "proto/gen",
		// To run plugins without a server, and to begin new ones.
		"host/sandbox/abi", "host/api", "host/engine", "host/imaging", "host/value", "sdk", "sdk/go",
	},

	// For people outside.
	"sdk":             {},
	"sdk/go":          {},
	"sdk/client":      {"proto/gen"},
	"sdk/conformance": {"sdk/go"},
	"plugins":         {"sdk/go"},

	// The repository's own programs and tests.
	"internal/lint":      {},
	"internal/crashtest": {},
	"internal/fuzz":      {},
	"internal/setup":     {"runners/onnx/ortlib"},
	"internal/rig":       {"sdk/client", "proto/gen"},
	"internal/demo":      {"internal/rig", "sdk/client", "proto/gen"},
	"internal/e2e":       {"internal/rig", "internal/schedclass/schedclasstest", "sdk/client", "proto/gen", "runners/onnx/ortlib"},
	// The suites compare parts with each other, so they see most of them.
	"internal/bench": {
		"internal/rig", "sdk/client", "proto/gen", "host/engine", "host/graph", "host/sandbox", "host/sandbox/abi", "host/value", "host/imaging",
		"host/blob", "host/catalog", "host/record", "host/tenant", "runners", "runners/batch", "runners/fake", "runners/onnx",
		"runners/onnx/ortlib", "runners/plan", "runners/worker",
	},
}

// layerOf returns the layer of an import path: "" outside the project, "?" when it is in no layer.
func layerOf(path string) string {
	rel, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	best := "?"
	for l := range mayImport {
		if (rel == l || strings.HasPrefix(rel, l+"/")) && (best == "?" || len(l) > len(best)) {
			best = l
		}
	}
	return best
}

func TestLayers(t *testing.T) {
	for _, p := range load(t) {
		from := layerOf(p.ImportPath)
		if from == "?" {
			t.Errorf("%s: in no layer: add it to mayImport", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to := layerOf(imp)
			if to != "" && to != from && !slices.Contains(mayImport[from], to) {
				t.Errorf("%s (layer %s) imports %s (layer %s): not allowed by mayImport", p.ImportPath, from, imp, to)
			}
		}
	}
}

// TestLayersAcyclic keeps the table itself honest: layers that may import each other are one layer.
func TestLayersAcyclic(t *testing.T) {
	done := map[string]bool{}
	var visit func(l string, path []string)
	visit = func(l string, path []string) {
		if slices.Contains(path, l) {
			t.Fatalf("mayImport has a cycle: %s", strings.Join(append(path, l), " -> "))
		}
		if done[l] {
			return
		}
		to, ok := mayImport[l]
		if !ok {
			t.Errorf("mayImport of %s names %s, which is no layer", path[len(path)-1], l)
		}
		for _, next := range to {
			visit(next, append(path, l))
		}
		done[l] = true
	}
	for _, l := range slices.Sorted(maps.Keys(mayImport)) {
		visit(l, nil)
	}
}

// TestTopOnly keeps the composition root and the commands at the top.
func TestTopOnly(t *testing.T) {
	for from, to := range mayImport {
		for _, l := range to {
			if strings.HasPrefix(l, "cmd") || l == "host/server" && !strings.HasPrefix(from, "cmd") {
				t.Errorf("%s may import %s: only cmd imports the server and nothing imports cmd", from, l)
			}
		}
	}
}
