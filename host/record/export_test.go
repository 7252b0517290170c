package record

// SetMaxScan sets the most messages that one List reads. Call it before anything else.
func (l *Log) SetMaxScan(n int) { l.maxScan = n }
