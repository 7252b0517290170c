package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// The examples' graphs.
const (
	GraphOCR        = "ocr-sentiment"
	GraphSideBySide = "side-by-side"
	GraphEnsemble   = "ensemble"
)

// file is one thing to push: its name on the server and where it lies below the project's folder.
type file struct{ name, path string }

const ocrModels = ".cache/ocr-models/1.4.2"

func modelFiles() []file {
	return []file{
		{"ppocr-det", ocrModels + "/ch_PP-OCRv4_det_infer.onnx"},
		{"ppocr-cls", ocrModels + "/ch_ppocr_mobile_v2.0_cls_infer.onnx"},
		{"ppocr-rec", ocrModels + "/ch_PP-OCRv4_rec_infer.onnx"},
		{"sentiment-a", "examples/models/sentiment-a.onnx"},
		{"sentiment-b", "examples/models/sentiment-b.onnx"},
	}
}

// ModelFile returns the path of one of the examples' models.
func ModelFile(root, name string) (path string, ok bool) {
	for _, f := range modelFiles() {
		if f.name == name {
			return filepath.Join(root, f.path), true
		}
	}
	return "", false
}

func pluginFiles() []file {
	var out []file
	for _, name := range []string{"image", "ocr", "text", "classify", "compare", "ensemble"} {
		out = append(out, file{name, "bin/plugins/" + name + ".wasm"})
	}
	return out
}

// LoadExamples pushes the examples' models and plugins and publishes both graphs; say gets one line for each.
func LoadExamples(ctx context.Context, root string, c *client.Client, say func(string)) error {
	for _, f := range modelFiles() {
		err := withFile(root, f, func(r *os.File, size int64) error {
			m, err := c.PushModel(ctx, f.name, r, size)
			if err == nil {
				say(fmt.Sprintf("model   %s@%d  %d bytes", m.GetName(), m.GetVersion(), m.GetSizeBytes()))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("push model %s: %w", f.name, err)
		}
	}
	for _, f := range pluginFiles() {
		err := withFile(root, f, func(r *os.File, size int64) error {
			p, err := c.PushPlugin(ctx, f.name, r, size)
			if err == nil {
				say(fmt.Sprintf("plugin  %s@%d  %d bytes, %d functions", p.GetName(), p.GetVersion(), p.GetSizeBytes(), len(p.GetFunctions())))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("push plugin %s: %w", f.name, err)
		}
	}
	for _, name := range []string{GraphOCR, GraphSideBySide, GraphEnsemble} {
		doc, err := os.ReadFile(filepath.Join(root, "examples", name, "graph.yaml"))
		if err != nil {
			return err
		}
		res, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: string(doc)})
		if err != nil {
			return fmt.Errorf("publish %s: %s: %w", name, faults(err), err)
		}
		say(fmt.Sprintf("graph   %s@%d", res.GetGraph().GetName(), res.GetGraph().GetVersion()))
	}
	return nil
}

func faults(err error) string {
	var text strings.Builder
	for _, f := range client.Detail(err).GetFaults() {
		fmt.Fprintf(&text, "\n  %d:%d %s %s: %s", f.GetLine(), f.GetColumn(), f.GetNode(), f.GetPort(), f.GetMessage())
	}
	return text.String()
}

func withFile(root string, f file, push func(r *os.File, size int64) error) error {
	r, err := os.Open(filepath.Join(root, f.path))
	if err != nil {
		return fmt.Errorf("%w: run make setup plugins", err)
	}
	defer func() { _ = r.Close() }() // it was only read
	info, err := r.Stat()
	if err != nil {
		return err
	}
	return push(r, info.Size())
}

// Root returns the nearest folder at or above the working folder that has the project's go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "internal", "rig")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside the project", dir)
		}
	}
}
