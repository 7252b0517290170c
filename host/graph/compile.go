package graph

import "errors"

// Compile checks g against env and returns its plan. The error is Faults with every fault of the graph, or an error of
// env that is not ErrNotFound.
func Compile(g *Graph, env Env) (*Plan, error) {
	return compile(g, env, unsupported())
}

// Check parses and compiles src and returns the faults of both steps at once, in the order of the text. Errors are those
// of Compile.
func Check(src []byte, env Env) (*Plan, error) {
	return check(src, env, unsupported())
}

func check(src []byte, env Env, refused []Feature) (*Plan, error) {
	g, err := parse(src)
	if g == nil {
		return nil, err
	}
	plan, compileErr := compile(g, env, refused)
	var parseFaults, compileFaults Faults
	errors.As(err, &parseFaults)
	if compileErr != nil && !errors.As(compileErr, &compileFaults) {
		return nil, compileErr
	}
	if all := append(parseFaults, compileFaults...); len(all) > 0 {
		return nil, all.finish(g.Name)
	}
	return plan, nil
}

// compiler holds what is known about one graph while it is compiled. Each step adds to it and to faults; none stops the
// next, and what a step could not find out is left unknown so that it causes no second fault.
type compiler struct {
	g       *Graph
	env     Env
	refused []Feature
	faults  Faults

	inputs map[string]int // name -> index in g.Inputs
	nodes  map[string]int // name -> index in g.Nodes
	sigs   []*signature   // by node; nil when unknown
	links  [][]link       // by node
	levels [][]int        // by node and link: lists that it is mapped over, -1 when it does not fit
	outs   []Source       // by output; SourceNone when unknown
	deps   [][]int        // by node: the nodes that it needs, with repetitions
	order  []int          // nodes in topological order, without those on cycles
	cyclic []bool         // by node: it is on a cycle

	usedInput  []bool
	usedNode   []bool
	usedOutput [][]bool // by node and output port
	loose      bool     // a reference points nowhere: what seems unused may be what it meant
}

func compile(g *Graph, env Env, refused []Feature) (*Plan, error) {
	c := &compiler{g: g, env: env, refused: refused}
	c.names()
	c.features()
	if err := c.signatures(); err != nil {
		return nil, err
	}
	c.connect()
	c.sort()
	s := c.types()
	c.configurations()
	c.unused()
	if len(c.faults) > 0 {
		return nil, c.faults.finish(g.Name)
	}
	return c.plan(s), nil
}

func (c *compiler) add(f *Fault) { c.faults = append(c.faults, f) }
