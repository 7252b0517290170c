package graph

// Code names a kind of fault. Codes are stable: clients may act on them.
type Code string

// Codes of faults.
const (
	CodeSyntax Code = "syntax"
)
