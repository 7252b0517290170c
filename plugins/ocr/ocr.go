// Package ocr is what the ocr plugin does, in Go: the plugin itself is the same in C++ with vector instructions, in folder module,
// and tests hold it to this package. It joins PP-OCR's three models into a reader of text: it prepares an image for the detector,
// cuts out the lines that the detector shows, turns the ones that stand upside down, and decodes what the recogniser
// saw. Numbers and steps are those of PaddleOCR's own tools.
//
// The models are PP-OCR's detector (a heat map of text), its angle classifier (probabilities of 0 and 180 degrees) and
// its recogniser (probabilities of 6625 characters for each step from left to right).
package ocr

import (
	_ "embed" // for the character list
	"strings"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

//go:embed dict/ppocr_keys_v1.txt
var keys string

// Plugin describes the plugin.
func Plugin() plugin.Plugin {
	r := newReader(keys)
	return plugin.Plugin{
		Name: "ocr", Version: "1.1.0",
		Doc: "Reads text with PP-OCR models: prepares images, cuts lines out, turns them, decodes characters.",
		Functions: []plugin.Function{
			plugin.Func("prepare_detect", "scales and normalises an image for the text detector", PrepareDetect),
			plugin.Func("cut_lines", "cuts out the lines that the detector's heat map shows, in reading order", CutLines),
			plugin.Func("orient", "turns the lines that the angle classifier found upside down", Orient),
			plugin.Func("read_lines", "decodes what the recogniser saw", r.ReadLines),
		},
	}
}

// reader decodes the recogniser's output.
type reader struct {
	// characters by class; class 0 is the blank.
	characters []string
}

// newReader returns a reader for a character list: one character a line, the classes from 1 on; a space follows them.
func newReader(list string) *reader {
	r := &reader{characters: []string{""}}
	r.characters = append(r.characters, strings.Split(strings.TrimSuffix(list, "\n"), "\n")...)
	r.characters = append(r.characters, " ")
	return r
}
