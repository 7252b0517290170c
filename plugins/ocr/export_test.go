package ocr

import "github.com/tandem-serve/tandem/sdk/go/plugin"

// ReadLines decodes lines with the embedded list of characters.
func ReadLines(ctx *plugin.Context, in ReadLinesIn, with ReadLinesWith) (ReadLinesOut, error) {
	return newReader(keys).ReadLines(ctx, in, with)
}
