package graph

// Parse reads a definition in its YAML or JSON form. The error is Faults, with line and column of every fault. Together
// with Faults it returns the graph as far as it was understood, nil when the text is no mapping at all; Check joins them
// with what Compile finds.
func Parse(src []byte) (*Graph, error) {
	return parse(src)
}
