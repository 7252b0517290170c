package record_test

import (
	"testing"

	"github.com/tandem-serve/tandem/host/record"
)

// BenchmarkAppend appends one record at a time.
func BenchmarkAppend(b *testing.B) {
	l, _ := open(b, b.TempDir(), record.Config{})
	r := rec("s", "g", 1)
	for b.Loop() {
		add(b, l, "acme", r)
	}
}

// BenchmarkAppendParallel appends from many callers at once, who share syncs.
func BenchmarkAppendParallel(b *testing.B) {
	l, _ := open(b, b.TempDir(), record.Config{})
	r := rec("s", "g", 1)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			add(b, l, "acme", r)
		}
	})
}

// BenchmarkList lists the newest 100 of many records.
func BenchmarkList(b *testing.B) {
	l, _ := open(b, b.TempDir(), record.Config{})
	for i := range 500 {
		add(b, l, "acme", rec("s", "g", i))
	}
	for b.Loop() {
		if _, _, err := l.List(b.Context(), "acme", record.Filter{}); err != nil {
			b.Fatal(err)
		}
	}
}
