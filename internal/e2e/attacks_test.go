package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// attacks returns all attacks in the order in which they run.
func attacks(t *testing.T) []attack {
	t.Helper()
	return append([]attack{
		plugin("infinite loops", "spin", 0, 1, 4, 5, 6, 15),
		plugin("traps and deep recursion", "trap", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
		plugin("memory bombs", "memory", 0, 1, 3, 4),
		plugin("host-call storms", "spin", 7, 9, 14),
		plugin("wild host calls", "host", 0, 1, 2, 11, 19, 33, 38, 39, 41, 43, 49),
		plugin("log floods", "spin", 8, 10),
		plugin("record floods", "spin", 13),
		plugin("lying answers", "answer", 2, 3, 13, 17, 18, 34, 39, 41, 43, 63),
		giantOutputs(),
		slowUploads(),
		tinyGraphs(),
		publishChurn(t),
		tagChurn(),
		cacheChurn(),
		deepMaps(),
		vastShadows(),
		loopingModel(),
		vastModel(),
		failingModel(),
		crashingModel(),
		badModels(t),
		keyGuessing(),
	}, giantMessages()...)
}

// plugin calls one function of the hostile plugin in several modes by turns.
func plugin(name, graph string, modes ...byte) attack {
	return attack{
		name: name, workers: 8,
		prepare: func(t *testing.T, a *attacker) { t.Helper(); pushHostile(t, a.client) },
		strike: func(ctx context.Context, a *attacker, worker, n int) error {
			_, err := a.client.Infer(ctx, graph, mode(modes[(worker+n)%len(modes)]))
			return err
		},
	}
}

// tinyGraphs publishes as many graphs as it can.
func tinyGraphs() attack {
	return attack{name: "thousands of tiny graphs", workers: 8, strike: func(ctx context.Context, a *attacker, worker, n int) error {
		return publishAs(ctx, a, fmt.Sprintf("graph: tiny-%d-%d\ninputs: {text: text}\noutputs: {text: text}\n", worker, n))
	}}
}

// publishChurn uploads a new version of a plugin, which must be compiled, and publishes a graph of it, over and over.
func publishChurn(t *testing.T) attack {
	t.Helper()
	wasm := readFile(t, "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
	return attack{name: "plugin and release churn", workers: 2, strike: func(ctx context.Context, a *attacker, worker, n int) error {
		file := labelled(wasm, fmt.Sprintf("v%06d", n))
		name := fmt.Sprintf("churn%d", worker)
		if _, err := a.client.PushPlugin(ctx, name, bytes.NewReader(file), int64(len(file))); err != nil {
			return err
		}
		return publishAs(ctx, a, "graph: "+name+"\ninputs: {text: text}\noutputs: {text: c.text}\nnodes: {c: {plugin: "+name+", call: copy, in: {text: text}}}\n")
	}}
}

// tagChurn moves tags about.
func tagChurn() attack {
	return attack{
		name: "tag churn", workers: 8,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			mustPublish(t, a.client, "graph: tagged\ninputs: {text: text}\noutputs: {text: text}\n")
		},
		strike: func(ctx context.Context, a *attacker, worker, n int) error {
			tag := fmt.Sprintf("t%d-%d", worker, n)
			_, err := a.client.Tags.SetTag(ctx, &tandemv1.SetTagRequest{Kind: tandemv1.TagKind_TAG_KIND_GRAPH, Name: "tagged", Tag: tag})
			return err
		},
	}
}

// cacheChurn fills the caches of nodes with answers that nobody asks for again.
func cacheChurn() attack {
	filler := strings.Repeat("y", 256<<10)
	return attack{
		name: "cache churn", workers: 4,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushValues(t, a)
			mustPublish(t, a.client, "graph: cached\ninputs: {text: text}\noutputs: {text: c.text}\nnodes: {c: {plugin: values, call: copy, in: {text: text}, cache: true}}\n")
		},
		strike: func(ctx context.Context, a *attacker, worker, n int) error {
			_, err := a.client.Infer(ctx, "cached", map[string]*tandemv1.Value{"text": client.Text(fmt.Sprint(worker, n, filler))})
			return err
		},
	}
}

// deepMaps runs a plugin over lists of lists of lists, in a graph that runs over lists itself: 30,000 runs a request.
func deepMaps() attack {
	list := func(n int, v *tandemv1.Value) *tandemv1.Value {
		var items []*tandemv1.Value
		for range n {
			items = append(items, v)
		}
		return client.List(items...)
	}
	words := list(10, list(10, list(10, list(30, client.Text("x")))))
	return attack{
		name: "deep maps", workers: 4,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushValues(t, a)
			mustPublish(t, a.client, "graph: inner\ninputs: {words: list of list of text}\noutputs: {out: c.third}\nnodes: {c: {plugin: values, call: names, each: words, in: {first: words}}}\n")
			mustPublish(t, a.client, "graph: outer\ninputs: {words: list of list of list of list of text}\noutputs: {out: c.out}\nnodes: {c: {graph: inner, each: words, in: {words: words}}}\n")
		},
		strike: func(ctx context.Context, a *attacker, _, _ int) error {
			_, err := a.client.Infer(ctx, "outer", map[string]*tandemv1.Value{"words": words})
			return err
		},
	}
}

// vastShadows has small requests answered whose shadows make as much memory as they can.
func vastShadows() attack {
	note := client.Text("n")
	text := client.Text(strings.Repeat("x", 1<<20))
	return attack{
		name: "vast shadows", workers: 4,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushValues(t, a)
			mustPublish(t, a.client, "graph: vast\ninputs: {notes: list of text, text: text}\noutputs: {notes: {from: notes}}\n"+
				"nodes: {c: {plugin: values, call: copy, each: notes, in: {bytes: notes, text: text}, shadow: true}}\n")
		},
		strike: func(ctx context.Context, a *attacker, _, _ int) error {
			_, err := a.client.Infer(ctx, "vast", map[string]*tandemv1.Value{"notes": client.List(slices.Repeat([]*tandemv1.Value{note}, 512)...), "text": text})
			return err
		},
	}
}

// loopingModel runs a model that computes for as long as it is asked to.
func loopingModel() attack {
	return attack{
		name: "a model that loops", workers: 4,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushFile(t, a.client, "model", "slow", "runners", "onnx", "testdata", "slow.onnx")
			mustPublish(t, a.client, "graph: slow\ninputs: {steps: {type: tensor, dtype: INT64, shape: []}, x: {type: tensor, dtype: FP32, shape: [n, n]}}\n"+
				"outputs: {y: m.y}\nnodes: {m: {model: slow, in: {steps: steps, x: x}}}\n")
		},
		strike: func(ctx context.Context, a *attacker, _, _ int) error {
			x := client.Float32s([]int64{slowSide, slowSide}, make([]float32, slowSide*slowSide))
			_, err := a.client.Infer(ctx, "slow", map[string]*tandemv1.Value{"steps": client.Int64s(nil, []int64{1 << 40}), "x": x})
			return err
		},
	}
}

// vastModel runs a model that takes memory: half a gibibyte, and more than any machine has.
func vastModel() attack {
	return attack{
		name: "a model that takes memory", workers: 2,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushFile(t, a.client, "model", "vast", "runners", "onnx", "testdata", "vast.onnx")
			mustPublish(t, a.client, "graph: vast\ninputs: {n: {type: tensor, dtype: INT64, shape: [1]}}\noutputs: {y: m.y}\nnodes: {m: {model: vast, in: {n: n}}}\n")
		},
		strike: func(ctx context.Context, a *attacker, _, n int) error {
			elements := []int64{1 << 27, 1 << 46}[n%2]
			_, err := a.client.Infer(ctx, "vast", map[string]*tandemv1.Value{"n": client.Int64s([]int64{1}, []int64{elements})})
			return err
		},
	}
}

// failingModel runs a model that fails while it runs, at the same time as it works for others.
func failingModel() attack {
	return attack{
		name: "a model that fails", workers: 8,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushFile(t, a.client, "model", "broken", "runners", "onnx", "testdata", "broken.onnx")
			mustPublish(t, a.client, "graph: broken\ninputs: {x: tensor FP32}\noutputs: {y: m.y}\nnodes: {m: {model: broken, in: {x: x}}}\n")
		},
		strike: func(ctx context.Context, a *attacker, worker, n int) error {
			x := make([]float32, 1+7*((worker+n)%2))
			_, err := a.client.Infer(ctx, "broken", map[string]*tandemv1.Value{"x": client.Float32s([]int64{int64(len(x))}, x)})
			return err
		},
	}
}

// crashingModel runs a model that ends its worker, on amd64, by turns with calls that it answers.
func crashingModel() attack {
	return attack{
		name: "a model that crashes", workers: 4,
		prepare: func(t *testing.T, a *attacker) {
			t.Helper()
			pushFile(t, a.client, "model", "quotient", "runners", "onnx", "testdata", "quotient.onnx")
			mustPublish(t, a.client, "graph: quotient\ninputs: {a: {type: tensor, dtype: INT64, shape: [n]}, b: {type: tensor, dtype: INT64, shape: [n]}}\n"+
				"outputs: {y: m.y}\nnodes: {m: {model: quotient, in: {a: a, b: b}}}\n")
		},
		strike: func(ctx context.Context, a *attacker, worker, n int) error {
			dividend := []int64{math.MinInt64, 1}[(worker+n)%2]
			_, err := a.client.Infer(ctx, "quotient", map[string]*tandemv1.Value{
				"a": client.Int64s([]int64{1}, []int64{dividend}), "b": client.Int64s([]int64{1}, []int64{-1}),
			})
			return err
		},
	}
}

// badModels uploads files that are no sound models.
func badModels(t *testing.T) attack {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root(t), "runners", "onnx", "testdata", "bad", "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	var files [][]byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 { // no upload of 0 bytes can be begun
			files = append(files, b)
		}
	}
	return attack{name: "models that are none", workers: 4, strike: func(ctx context.Context, a *attacker, worker, n int) error {
		file := files[(worker+n)%len(files)]
		file = binary.BigEndian.AppendUint64(bytes.Clone(file), uint64(worker)<<32|uint64(n))
		_, err := a.client.PushModel(ctx, fmt.Sprintf("bad%d", worker), bytes.NewReader(file), int64(len(file)))
		return err
	}}
}
