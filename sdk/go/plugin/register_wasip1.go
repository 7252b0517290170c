package plugin

import (
	"unsafe"
)

// module is what the exports serve: a WebAssembly instance holds one plugin and runs one call at a time.
var module struct {
	instance    *instance
	description []byte
	// arenas are kept for ever: the server holds their addresses.
	arenas [][]byte
	memory memory
}

// Register makes p the plugin of the module that is being built. Call it once, while package main initialises:
//
//	var _ = plugin.Register(mine.Plugin())
//
// Built natively there is no server to register with: Register does nothing and returns false.
func Register(p Plugin) bool {
	module.instance = newInstance(p, wasmHost{})
	module.memory = memory{size: 1 << 32, place: func(p unsafe.Pointer, _ int) (uint32, error) {
		return uint32(uintptr(p)), nil
	}}
	return true
}

//go:wasmexport tdm1_describe
func exportDescribe() uint64 {
	if module.instance == nil {
		return 0
	}
	module.description = describe(module.instance.plugin)
	p := uintptr(unsafe.Pointer(unsafe.SliceData(module.description)))
	return uint64(p)<<32 | uint64(len(module.description))
}

//go:wasmexport tdm1_alloc
func exportAlloc(size, align uint32) uint32 {
	if align == 0 || align&(align-1) != 0 || align > 1<<16 {
		return 0
	}
	arena := make([]byte, uint64(size)+uint64(align))
	module.arenas = append(module.arenas, arena)
	p := uintptr(unsafe.Pointer(unsafe.SliceData(arena)))
	return uint32((p + uintptr(align) - 1) &^ (uintptr(align) - 1))
}

//go:wasmexport tdm1_init
func exportInit(ptr, n uint32) int32 {
	doc, err := module.memory.at(ptr, uint64(n))
	if err != nil || module.instance == nil {
		return outcomeError
	}
	config := unsafe.Slice((*byte)(doc), n)
	if n > 0 && !ValidJSON(config) {
		wasmHost{}.Log(LevelError, "the configuration is not JSON")
		return outcomeError
	}
	module.instance.configure(config)
	return 0
}

//go:wasmexport tdm1_run
func exportRun(req uint32) int32 {
	if module.instance == nil {
		return outcomeError
	}
	return module.instance.run(&module.memory, req)
}
