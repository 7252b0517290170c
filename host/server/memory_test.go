package server

import "testing"

func TestMemTotal(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     int64
		ok       bool
	}{
		{"usual", "MemFree: 5 kB\nMemTotal:       24657796 kB\nBuffers: 1 kB\n", 24657796 << 10, true},
		{"not there", "MemFree: 5 kB\n", 0, false},
		{"no number", "MemTotal: many kB\n", 0, false},
		{"nothing", "", 0, false},
	} {
		if got, ok := memTotal([]byte(tc.in)); ok != tc.ok || (ok && got != tc.want) {
			t.Errorf("%s: got %d, %v, want %d, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
	if n := machineMemory(); n < 64<<20 {
		t.Errorf("this machine has %d bytes", n)
	}
}
