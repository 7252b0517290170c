package wasmbin

// maxInlineCost is the number of instructions up to which a function is paid for by its callers.
const maxInlineCost = 64

// inlineCosts finds the functions that need no metering of their own because every call of them is paid for where it
// is made: few instructions, half of which every call executes, no loop, no bulk operation, direct calls to other such
// functions only, never called by the host or through the table. It returns, by index in the function space, the cost of
// one call, or 0 for functions that are metered.
func (m *Module) inlineCosts() []uint8 {
	costs := make([]uint8, m.funcCount())
	const rounds = 4 // deepest nesting of such calls
	for range rounds {
		changed := false
		for i := range m.bodies {
			fn := len(m.importTypes) + i
			if b := &m.bodies[i]; costs[fn] == 0 && b.simple && b.cost <= min(maxInlineCost, 2*b.sure) && !m.addressed[fn] {
				costs[fn] = m.inlineCost(b, costs)
				changed = changed || costs[fn] != 0
			}
		}
		if !changed {
			break
		}
	}
	return costs
}

// inlineCost returns the cost of one call, or 0 while a callee's is not known or when it is too large.
func (m *Module) inlineCost(b *body, costs []uint8) uint8 {
	total := b.cost
	for _, callee := range m.callees[b.callees.from:b.callees.to] {
		if costs[callee] == 0 {
			return 0
		}
		total += int(costs[callee])
	}
	if total > min(maxInlineCost, 2*b.sure) {
		return 0
	}
	return uint8(max(total, 1))
}
