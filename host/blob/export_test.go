package blob

// MaxMetaBytes is what one description of an upload is read up to.
const MaxMetaBytes = maxMetaBytes

// Finished returns the number of finished uploads that d remembers.
func (d *Dir) Finished() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, o := range d.owners {
		n += len(o.finished)
	}
	return n
}
