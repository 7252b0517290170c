package main

import (
	"slices"
	"strconv"
	"strings"
)

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

type shape interface{ area() int }

type square struct{ side int }

func (s square) area() int { return s.side * s.side }

type box struct{ w, h int }

func (b *box) area() int { return b.w * b.h }

// mixed does what plugins do: it makes objects, calls methods of interfaces and closures, sorts, fills maps and joins
// text.
//
//go:wasmexport mixed
func mixed(n int32) int32 {
	var shapes []shape
	for i := range int(n) {
		if i%3 == 0 {
			shapes = append(shapes, square{i % 17})
		} else {
			shapes = append(shapes, &box{i % 13, i % 7})
		}
	}
	slices.SortFunc(shapes, func(a, b shape) int { return a.area() - b.area() })
	count := map[string]int{}
	var text strings.Builder
	for _, s := range shapes {
		name := strconv.Itoa(s.area())
		count[name]++
		text.WriteString(name)
	}
	return int32(len(count)*1000 + text.Len())
}

func main() {}
