package main

var fbuf [1 << 20]float32

//go:wasmexport setup
func setup() {
	for i := range fbuf {
		fbuf[i] = float32(i%1000)*0.01 - 3
	}
}

//go:wasmexport spin
func spin(n int32) int32 {
	h := uint32(1)
	for i := int32(0); i < n; i++ {
		h = h*1664525 + 1013904223 + uint32(i)
	}
	return int32(h)
}

//go:wasmexport fib
func fib(n int32) int32 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:wasmexport sumf
func sumf(n int32) float32 {
	s := float32(0)
	for i := int32(0); i < n; i++ {
		s += fbuf[i]
	}
	return s
}

func main() {}
