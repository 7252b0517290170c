package wasmbin

import "time"

// compileCost estimates how long wazero's compiler takes for a function. The terms and their weights were
// fitted to measurements of 20 kinds of hostile functions and of large real modules (version 1.12, one core at about
// 3.5 GHz): compilation is linear in instructions, but quadratic in basic blocks, in the branches that meet in one place,
// and in the values that nested loops carry.
type compileCost struct {
	instrs int64
	blocks int64 // basic blocks
	nested int64 // sum of the loops' nesting depths
	meets  int64 // sum of squares of the branches to one label
}

// estimate returns the time for a function with that many locals.
func (c *compileCost) estimate(locals int64) time.Duration {
	return time.Duration(1000*c.instrs + 10*c.blocks*c.blocks + 1000*locals*c.blocks + 4*locals*locals*c.nested + 6*locals*c.meets)
}
