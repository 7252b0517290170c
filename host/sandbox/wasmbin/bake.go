package wasmbin

// Snapshot is the state that [Rewritten.Bake] puts into a module.
type Snapshot struct {
	Pages   uint32   // size of the memory in pages of 64 KiB; becomes the initial size
	Globals []uint64 // raw values in the order of Rewritten.Globals
}

// Bake returns the rewritten module without start function and active data segments, with the snapshot's values as
// initial values of its globals and its pages as the memory's minimum. The memory's content is not in the module: the
// host maps it. The fuel global still starts at 0.
func (r *Rewritten) Bake(s Snapshot) ([]byte, error) {
	return nil, &Error{Code: CodeUnsupported, Offset: -1, Func: -1, Text: "baking is not finished"}
}
