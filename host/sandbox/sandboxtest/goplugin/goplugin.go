//go:build wasip1

// Command goplugin is a test plugin in Go that keeps to the ABI by hand, so that what is tested is the host. It uses what
// Go programs use: maps, JSON, goroutines, timers, maps with random seeds, and the heap.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"
	"unsafe"
)

type value struct {
	namePtr, nameLen         uint32
	kind, dtype, rank, flags uint8
	handle, dataPtr, items   uint32
	dataLen                  uint64
	dims                     [8]int64
}

type request struct {
	magic                        uint32
	major, minor                 uint16
	totalLen, op                 uint32
	numIn, inPtr, outCap, outPtr uint32
	numOut, errPtr, errCap       uint32
	errLen                       uint32
	deadlineNs, requestID        uint64
}

const description = `{"name":"goplugin","functions":[
	{"name":"nothing","inputs":[],"outputs":[]},
	{"name":"words","inputs":[{"name":"text","kind":"text"}],"outputs":[{"name":"counts","kind":"json"}]},
	{"name":"count","inputs":[],"outputs":[{"name":"n","kind":"json"}]},
	{"name":"grow","inputs":[],"outputs":[{"name":"n","kind":"json"}]},
	{"name":"sleep","inputs":[],"outputs":[{"name":"n","kind":"json"}]},
	{"name":"panic","inputs":[],"outputs":[]},
	{"name":"spin","inputs":[],"outputs":[]},
	{"name":"deadlock","inputs":[],"outputs":[]},
	{"name":"nested","inputs":[{"name":"text","kind":"text"}],"outputs":[{"name":"depth","kind":"json"}]},
	{"name":"runaway","inputs":[],"outputs":[]}
]}`

var (
	keep   []byte
	answer []byte
	calls  int
	seen   = map[string]int{}
)

//go:wasmexport tdm1_describe
func describe() uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.StringData(description))))<<32 | uint64(len(description))
}

//go:wasmexport tdm1_alloc
func alloc(n, a uint32) uint32 {
	keep = make([]byte, n+a)
	p := uint32(uintptr(unsafe.Pointer(&keep[0])))
	return (p + a - 1) &^ (a - 1)
}

//go:wasmexport tdm1_run
func run(req unsafe.Pointer) int32 {
	r := (*request)(req)
	calls++
	in := (*value)(unsafe.Pointer(uintptr(r.inPtr)))
	out := (*value)(unsafe.Pointer(uintptr(r.outPtr)))
	var doc any
	switch r.op {
	case 0:
		return 0
	case 1:
		doc = words(string(unsafe.Slice((*byte)(unsafe.Pointer(uintptr(in.dataPtr))), in.dataLen)))
	case 2:
		doc = calls
	case 3:
		doc = grow()
	case 4:
		began := time.Now()
		time.Sleep(time.Minute)
		doc = int(time.Since(began).Seconds())
	case 5:
		panic("this is meant")
	case 6:
		for n := 0; ; n++ {
			calls += n
		}
	case 7:
		<-make(chan int)
	case 8:
		doc = nested(unsafe.Slice((*byte)(unsafe.Pointer(uintptr(in.dataPtr))), in.dataLen))
	case 9:
		doc = runaway(1)
	}
	answer, _ = json.Marshal(doc)
	*out = value{kind: 4, dataPtr: uint32(uintptr(unsafe.Pointer(&answer[0]))), dataLen: uint64(len(answer))}
	r.numOut = 1
	return 0
}

// words counts words on four goroutines.
func words(text string) []string {
	parts := make(chan string)
	counts := make(chan map[string]int)
	for range 4 {
		go func() {
			m := map[string]int{}
			for p := range parts {
				m[p]++
			}
			counts <- m
		}()
	}
	start := 0
	for i := 0; i <= len(text); i++ {
		if i == len(text) || text[i] == ' ' {
			if i > start {
				parts <- text[start:i]
			}
			start = i + 1
		}
	}
	close(parts)
	for range 4 {
		for k, v := range <-counts {
			seen[k] += v // stays empty from call to call
		}
	}
	var out []string
	for k, v := range seen {
		out = append(out, fmt.Sprint(k, "=", v))
	}
	sort.Strings(out)
	return out
}

// grow makes the heap grow by a lot.
func grow() int {
	var all [][]byte
	for range 64 {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = byte(i)
		}
		all = append(all, b)
	}
	return len(all)
}

// nested tells how deep the lists of a JSON document are nested.
func nested(text []byte) any {
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		return err.Error()
	}
	return depth(doc)
}

func depth(doc any) int {
	most := 0
	list, ok := doc.([]any)
	if !ok {
		return 0
	}
	for _, item := range list {
		most = max(most, depth(item))
	}
	return most + 1
}

// runaway never ends.
func runaway(n int) int { return runaway(n+1) + n }

func main() { fmt.Fprintln(os.Stderr, "main is not called") }
