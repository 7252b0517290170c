package graph

// Codes returns every code that the source declares, for the tests of the documentation and of the corpus.
func Codes() []Code { return codes() }

// Reserved returns the names that cannot be used.
func Reserved() []string { return reserved() }
