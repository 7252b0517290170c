package runners

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/internal/rig"
	"github.com/tandem-serve/tandem/runners"
)

// model is one of the models with what it is asked.
type model struct {
	name string
	file []byte
	in   []port // one row of each input
	out  string // the output that graphs put out
	rows []int  // what the sweep tries
	// heavy models take long enough for ratios to bare ONNX Runtime to be promised.
	heavy bool
}

// port is an input with the shape of one row, without the row's own dimension.
type port struct {
	name  string
	dtype runners.DType
	row   []int64
	fill  func(data []byte) // fills a row
}

func models(root string) ([]model, error) {
	sentiment, _ := rig.ModelFile(root, "sentiment-a")
	recognition, _ := rig.ModelFile(root, "ppocr-rec")
	all := []model{
		{
			name: "tiny", out: "sum", rows: []int{1, 16, 64, 256},
			in: []port{{"a", runners.FP32, []int64{3}, subject.Noise}, {"b", runners.FP32, []int64{3}, subject.Noise}},
		},
		{name: "sentiment", out: "logits", rows: []int{1, 8, 32, 64}, in: []port{{"ids", runners.INT64, []int64{128}, words}}, heavy: true},
		{name: "recognition", out: "softmax_11.tmp_0", rows: []int{1, 4, 8, 16}, in: []port{{"x", runners.FP32, []int64{3, 48, 320}, subject.Noise}}, heavy: true},
	}
	for i, path := range []string{filepath.Join(root, "runners", "onnx", "testdata", "add_sub.onnx"), sentiment, recognition} {
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%w: run make setup", err)
		}
		all[i].file = file
	}
	return all, nil
}

func source() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// words fills in ids of words.
func words(data []byte) {
	rng := source()
	for i := 0; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], 2+rng.Uint64N(29_000))
	}
}

// tensors returns so many rows of every input.
func (m *model) tensors(rows int) []runners.Tensor {
	out := make([]runners.Tensor, len(m.in))
	for i, p := range m.in {
		shape := append([]int64{int64(rows)}, p.row...)
		n, _ := runners.Elements(shape)
		out[i] = runners.Tensor{DType: p.dtype, Shape: shape, Data: make([]byte, int(n)*p.dtype.Size())}
		each := len(out[i].Data) / rows
		for row := range rows {
			p.fill(out[i].Data[row*each : (row+1)*each])
		}
	}
	return out
}

// bytes returns the bytes of one row of all inputs.
func (m *model) bytes() int {
	n := 0
	for _, t := range m.tensors(1) {
		n += len(t.Data)
	}
	return n
}

// document returns the graph of the model alone.
func (m *model) document() string {
	var doc strings.Builder
	fmt.Fprintf(&doc, "graph: %s\ninputs:\n", m.name)
	for _, p := range m.in {
		dims := []string{"n"}
		for _, d := range p.row {
			if m.name == "sentiment" {
				dims = append(dims, "seq")
				continue
			}
			dims = append(dims, strconv.FormatInt(d, 10))
		}
		fmt.Fprintf(&doc, "  %s: {type: tensor, dtype: %s, shape: [%s]}\n", p.name, p.dtype, strings.Join(dims, ", "))
	}
	fmt.Fprintf(&doc, "outputs:\n  out: {from: it.%s}\nnodes:\n  it: {model: %s, in: {", m.out, m.name)
	for i, p := range m.in {
		if i > 0 {
			doc.WriteString(", ")
		}
		fmt.Fprintf(&doc, "%s: %s", p.name, p.name)
	}
	doc.WriteString("}}\n")
	return doc.String()
}
