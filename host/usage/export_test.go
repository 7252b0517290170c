package usage

// Hours returns how many hours are kept in memory.
func (l *Ledger) Hours() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}
