package graph

import (
	"errors"
	"slices"

	"cel.dev/cel-go/cel"
)

// Compile checks g against env and returns its plan. The error is Faults with every fault of the graph, or an error of
// env that is not ErrNotFound.
func Compile(g *Graph, env Env) (*Plan, error) {
	if g.incomplete() {
		return nil, Faults{faultf(CodeSyntax, g.Pos, "the definition has faults that Parse reported")}.finish(g.Name)
	}
	c := newCompiler(g, env, nil)
	s, err := c.check()
	if err != nil {
		return nil, err
	}
	if len(c.faults) > 0 {
		return nil, c.faults.finish(g.Name)
	}
	return c.plan(s), nil
}

// Check parses and compiles src and returns the faults of both steps at once, in the order of the text. Errors are those
// of Compile.
func Check(src []byte, env Env) (*Plan, error) {
	g, err := parse(src)
	if g == nil {
		return nil, err
	}
	var faults Faults
	if !errors.As(err, &faults) {
		return Compile(g, env)
	}
	c := newCompiler(g, env, faults)
	if _, err := c.check(); err != nil {
		return nil, err
	}
	return nil, c.faults.finish(g.Name)
}

// compiler holds what is known about one graph while it is compiled. Each step adds to it and to faults; none stops the
// next, and what a step could not find out is left unknown so that it causes no second fault.
type compiler struct {
	g      *Graph
	env    Env
	faults Faults

	known               map[string][]string // what the Env says that there is, by kind
	inputs              map[string]int      // name -> index in g.Inputs
	nodes               map[string]int      // name -> index in g.Nodes
	nodeList, inputList []string            // names in order, once they were asked for
	sigs                []*signature        // by node; nil when unknown
	links               [][]link            // by node
	eachLost            []bool              // by node: a reference in its each is not understood
	levels              [][]int             // by node and link: lists that it is mapped over, -1 when it does not fit
	outs                []Source            // by output; SourceNone when unknown
	deps                [][]int             // by node: the nodes that it needs, with repetitions
	order               []int               // nodes in topological order, without those on cycles
	cyclic              []bool              // by node: it is on a cycle

	expressions *cel.Env // made for the first expression
	routing     *routing
	later       []*fitting // checks that wait until everything else is typed
	outEdges    []*edge    // by output of the graph
	fallbacks   []*Const   // by input of the graph: its default

	usedInput  []bool
	usedNode   []bool
	usedOutput [][]bool // by node and output port
	loose      bool     // a reference points nowhere: what seems unused may be what it meant
}

func newCompiler(g *Graph, env Env, faults Faults) *compiler {
	return &compiler{g: g, env: env, faults: faults, known: map[string][]string{}}
}

// check runs every step and collects faults. The error is one of the Env that is no fault of the definition.
func (c *compiler) check() (*state, error) {
	if !c.names() {
		return nil, nil //nolint:nilnil // beyond the bounds: the fault is noted and nothing else is looked at
	}
	if err := c.signatures(); err != nil {
		return nil, err
	}
	c.connect()
	c.route()
	c.sort()
	c.conditions()
	c.shadows()
	s := c.types()
	c.configurations()
	c.unused()
	return s, nil
}

func (c *compiler) add(f *Fault) { c.faults = append(c.faults, f) }

// incomplete reports whether g is what Parse returned together with faults.
func (g *Graph) incomplete() bool {
	if g.broken || g.unnamed {
		return true
	}
	return slices.ContainsFunc(g.Inputs, func(in Input) bool { return in.broken }) ||
		slices.ContainsFunc(g.Outputs, func(o Output) bool { return o.broken }) ||
		slices.ContainsFunc(g.Nodes, func(n Node) bool {
			return n.broken || slices.ContainsFunc(n.In, func(b Binding) bool { return b.broken })
		})
}
