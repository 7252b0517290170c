package sandbox

import "sync/atomic"

// memoryBudget bounds what the guests of a host have grown to, together. It may be used by many goroutines; nil has no
// bound.
type memoryBudget struct {
	limit uint64
	used  atomic.Uint64
}

// take takes n bytes, or returns false and takes none.
func (b *memoryBudget) take(n uint64) bool {
	if b == nil {
		return true
	}
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// give returns n bytes.
func (b *memoryBudget) give(n uint64) {
	if b != nil {
		b.used.Add(-n)
	}
}

// purse pays for one linear memory: from what all guests share, and from what its tenant may have. The zero purse is
// bottomless. It belongs to whoever has the memory.
type purse struct {
	shared *memoryBudget
	own    *tenantUse

	counted uint64             // taken from shared: what goes beyond the snapshot
	paid    uint64             // taken from own: all of it
	lack    *TenantMemoryError // why the tenant's part was refused, the last time that it was
}

// pay takes what a memory of size bytes costs of which image are its snapshot's. It returns false when that is not to be had.
func (p *purse) pay(size, image uint64) bool {
	beyond := size - min(size, image)
	if beyond > p.counted && !p.shared.take(beyond-p.counted) {
		return false
	}
	if size > p.paid {
		if lack := p.own.grow(int64(size - p.paid)); lack != nil {
			if beyond > p.counted {
				p.shared.give(beyond - p.counted)
			}
			p.lack = lack
			return false
		}
		p.paid = size
	}
	p.counted = max(p.counted, beyond)
	return true
}

// back gives back what goes beyond size bytes, all of which are the snapshot's.
func (p *purse) back(size uint64) {
	p.shared.give(p.counted)
	if beyond := p.paid - min(p.paid, size); p.own != nil && beyond > 0 {
		p.paid -= beyond
		p.own.pools.shrink(p.own, int64(beyond))
	}
	p.counted = 0
}

// handOver returns what was paid of the tenant's part; it is the caller's now.
func (p *purse) handOver() int64 {
	paid := int64(p.paid)
	p.paid = 0
	return paid
}
