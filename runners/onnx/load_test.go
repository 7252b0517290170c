//go:build cgo && (linux || darwin)

package onnx_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ort "github.com/yalue/onnxruntime_go"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/onnx"
	"github.com/tandem-serve/tandem/runners/onnx/onnxtest"
)

func TestSignature(t *testing.T) {
	t.Parallel()
	batch := runners.Dim{Size: -1, Name: "batch"}
	document := []runners.Port{{Name: "probabilities", DType: runners.BYTES, Dims: []runners.Dim{}, JSON: true}}
	for _, test := range []struct {
		name  string
		model onnxtest.Model
		want  runners.Signature
	}{
		{"symbolic and fixed", onnxtest.AddSub(), runners.Signature{
			Inputs:  []runners.Port{{Name: "a", DType: runners.FP32, Dims: []runners.Dim{batch, {Size: 3}}}, {Name: "b", DType: runners.FP32, Dims: []runners.Dim{batch, {Size: 3}}}},
			Outputs: []runners.Port{{Name: "sum", DType: runners.FP32, Dims: []runners.Dim{batch, {Size: 3}}}, {Name: "difference", DType: runners.FP32, Dims: []runners.Dim{batch, {Size: 3}}}},
		}},
		{"no name, zero", onnxtest.Identity(runners.BF16, []runners.Dim{{Size: -1}, {Size: 0}}), runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.BF16, Dims: []runners.Dim{{Size: -1}, {Size: 0}}}},
			Outputs: []runners.Port{{Name: "y", DType: runners.BF16, Dims: []runners.Dim{{Size: -1}, {Size: 0}}}},
		}},
		{"scalar", onnxtest.Identity(runners.BYTES, []runners.Dim{}), runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.BYTES, Dims: []runners.Dim{}}},
			Outputs: []runners.Port{{Name: "y", DType: runners.BYTES, Dims: []runners.Dim{}}},
		}},
		{"any rank", onnxtest.Identity(runners.BOOL, nil), runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.BOOL}},
			Outputs: []runners.Port{{Name: "y", DType: runners.BOOL}},
		}},
		{"sequence of maps", onnxtest.ZipMap([]string{"cat", "dog"}), runners.Signature{
			Inputs:  []runners.Port{{Name: "scores", DType: runners.FP32, Dims: []runners.Dim{batch, {Size: 2}}}},
			Outputs: document,
		}},
	} {
		m := load(t, test.model, onnx.Options{})
		if diff := cmp.Diff(test.want, m.Signature()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	change := func(f func(*onnxtest.Model)) []byte {
		m := onnxtest.AddSub()
		f(&m)
		return m.Bytes()
	}
	fp32 := onnxtest.TensorType(runners.FP32, nil)
	for _, test := range []struct {
		name  string
		model []byte
		want  string
	}{
		{"check comes first", []byte("no model"), "not an ONNX model"},
		{"unknown operator", change(func(m *onnxtest.Model) { m.Graph.Nodes[0].Op = "Frobnicate" }), "Frobnicate"},
		{"no such value", change(func(m *onnxtest.Model) { m.Graph.Nodes[0].In[0] = "nowhere" }), "nowhere"},
		{"two of one name", change(func(m *onnxtest.Model) { m.Graph.Nodes[1].Out[0] = "sum" }), "difference"},
		{"dtypes do not meet", change(func(m *onnxtest.Model) { m.Graph.Inputs[0].DType = runners.INT64 }), "Type"},
		{"complex", onnxtest.Identity(15, nil).Bytes(), "complex128"},
		{"optional", onnxtest.Model{Graph: onnxtest.Graph{
			Name:    "optional",
			Nodes:   []onnxtest.Node{{Op: "OptionalGetElement", In: []string{"x"}, Out: []string{"y"}}},
			Inputs:  []onnxtest.Value{{Name: "x", Type: onnxtest.OptionalType(fp32)}},
			Outputs: []onnxtest.Value{{Name: "y", DType: runners.FP32}},
		}}.Bytes(), `input "x"`},
		{"sequence input", onnxtest.Model{Graph: onnxtest.Graph{
			Name:    "sequence_input",
			Nodes:   []onnxtest.Node{{Op: "ConcatFromSequence", In: []string{"x"}, Out: []string{"y"}, Attrs: []onnxtest.Attr{{Name: "axis"}}}},
			Inputs:  []onnxtest.Value{{Name: "x", Type: onnxtest.SequenceType(fp32)}},
			Outputs: []onnxtest.Value{{Name: "y", DType: runners.FP32}},
		}}.Bytes(), `input "x": sequences and maps cannot be given to a model`},
	} {
		m, err := open(t).Load(t.Context(), test.model, onnx.Options{})
		if !errors.Is(err, runners.ErrModel) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want ErrModel with %q", test.name, err, test.want)
		}
		if err == nil {
			t.Errorf("%s: close: %v", test.name, m.Close())
			continue
		}
		if strings.Contains(err.Error(), "onnxruntime_src") || strings.Count(err.Error(), "\n") > 2 || len(err.Error()) > 1200 {
			t.Errorf("%s: not for people: %q", test.name, err)
		}
	}
}

// The newest opsets that Check lets pass are those that the library knows, no more and no fewer.
func TestNewestOpset(t *testing.T) {
	t.Parallel()
	load := func(domain string, version int64) error {
		m := onnxtest.AddSub()
		m.Opsets = map[string]int64{"": onnxtest.Opset}
		m.Opsets[domain] = version
		model, err := open(t).Load(t.Context(), m.Bytes(), onnx.Options{})
		if err == nil {
			err = model.Close()
		}
		return err
	}
	for domain, newest := range map[string]int64{"": 26, "ai.onnx.ml": 5} {
		if err := load(domain, newest); err != nil {
			t.Errorf("opset %d of %q: %v", newest, domain, err)
		}
		if err := load(domain, newest+1); !errors.Is(err, runners.ErrModel) {
			t.Errorf("opset %d of %q: got %v, want ErrModel", newest+1, domain, err)
		}
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	model, err := os.ReadFile(ocrModels(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t).Load(ctx, model, onnx.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("done before: got %v, want context.Canceled", err)
	}
	short, stop := context.WithTimeout(t.Context(), 1)
	defer stop()
	<-short.Done()
	if _, err := open(t).Load(short, model, onnx.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: got %v, want context.DeadlineExceeded", err)
	}
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, onnxtest.AddSub().Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := open(t).LoadFile(t.Context(), path, onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Metadata(); got.Producer != "tandem onnxtest" || !got.Dynamic {
		t.Errorf("got %+v", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t).LoadFile(t.Context(), path+".nowhere", onnx.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

func TestHandleOf(t *testing.T) {
	t.Parallel()
	open(t)
	o, err := ort.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	if onnx.HandleOf(o) == nil {
		t.Error("no handle in new options")
	}
	if err := o.Destroy(); err != nil {
		t.Fatal(err)
	}
	if onnx.HandleOf(o) != nil {
		t.Error("a handle in destroyed options")
	}
}

// TestOpenRefuses runs Open in processes of their own, for it works once a process.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if lib, ok := os.LookupEnv("TANDEM_TEST_OPEN"); ok {
		_, err := onnx.Open(t.Context(), onnx.Config{Library: lib})
		if !errors.Is(err, runners.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		os.Stdout.WriteString("said: " + err.Error() + "\n")
		// A wrong path does not spoil the right one.
		if _, err := onnx.Open(t.Context(), onnx.Config{Library: library(t)}); err != nil {
			t.Fatalf("the right library after a wrong one: %v", err)
		}
		if _, err := onnx.Open(t.Context(), onnx.Config{Library: lib + "x"}); !errors.Is(err, runners.ErrUnavailable) {
			t.Fatalf("another library: got %v, want ErrUnavailable", err)
		}
		return
	}
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("this is no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, library, want string }{
		{"no path", "", "no path of ONNX Runtime's library"},
		{"no file", "/nowhere/libonnxruntime.so", "cannot open shared object file"},
		{"no library", text, "text.so"},
		{"another library", "libm.so.6", "is not ONNX Runtime: it has no OrtGetApiBase"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenRefuses$", "-test.v")
		cmd.Env = append(os.Environ(), "TANDEM_TEST_OPEN="+test.library)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), test.want) || !strings.Contains(string(out), "make setup") {
			t.Errorf("%s: %v, said %q, want %q and how to get the library", test.name, err, out, test.want)
		}
	}
}
