package graph

func parse(src []byte) (*Graph, error) {
	return nil, Faults{{Code: CodeSyntax, Message: "not built yet"}}
}
func check(src []byte, env Env, ok func(string) bool) (*Plan, error) {
	return nil, Faults{{Code: CodeSyntax, Message: "not built yet"}}
}
func compile(g *Graph, env Env, ok func(string) bool) (*Plan, error) {
	return nil, Faults{{Code: CodeSyntax, Message: "not built yet"}}
}
func supported(string) bool { return false }

// Mermaid returns the plan as a Mermaid flowchart.
func Mermaid(p *Plan) string { return "" }

// Text returns the plan as text for people.
func Text(p *Plan) string { return "" }

// Digest returns "sha256:" and the hex SHA-256 of the graph's canonical JSON.
func (g *Graph) Digest() string { return "" }

// YAML returns the graph's YAML form, which Parse reads back without loss.
func (g *Graph) YAML() ([]byte, error) { return nil, nil }

// MarshalJSON returns the graph's JSON form, which Parse reads back without loss.
func (g *Graph) MarshalJSON() ([]byte, error) { return nil, nil }

// UnmarshalJSON reads what MarshalJSON writes; the error is Faults.
func (g *Graph) UnmarshalJSON(src []byte) error { return nil }

type tree struct{}
