package graph

// CheckRefusing is Check with another list of features that are refused: none for the whole language.
func CheckRefusing(src []byte, env Env, refused ...Feature) (*Plan, error) {
	return check(src, env, refused)
}

// Codes returns every code that the source declares, for the tests of the documentation and of the corpus.
func Codes() []Code { return codes() }

// Reserved returns the names that cannot be used.
func Reserved() []string { return reserved() }
