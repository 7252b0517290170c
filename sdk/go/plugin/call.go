package plugin

import (
	"errors"
	"unsafe"
)

// call is one request on its way through a function.
type call struct {
	ctx *Context
	mem *memory
	in  []value
	out []value
}

// load fills the struct at dst from the request's inputs, which stand in the order of ports.
func (c *call) load(ports []port, dst unsafe.Pointer) error {
	if len(c.in) != len(ports) {
		return errors.New("the request has another number of inputs than the function")
	}
	for i := range ports {
		if err := c.loadPort(&ports[i], &c.in[i], unsafe.Add(dst, ports[i].offset)); err != nil {
			return errors.New("input " + ports[i].name + ": " + err.Error())
		}
	}
	return nil
}

func (c *call) loadPort(p *port, v *value, dst unsafe.Pointer) error {
	if v.flags&flagAbsent != 0 {
		if !p.optional {
			return errors.New("missing")
		}
		return nil // the pointer stays nil
	}
	if p.optional {
		dst = p.allocate(dst)
	}
	if p.list {
		return c.loadList(p.codec, v, dst)
	}
	return loadValue(c.mem, p.codec, v, dst)
}

// allocate sets the pointer at dst to a new zero value and returns it.
func (p *port) allocate(dst unsafe.Pointer) unsafe.Pointer {
	var n unsafe.Pointer
	switch {
	case p.list:
		n = unsafe.Pointer(new([]header))
	case p.codec.scalar:
		n = unsafe.Pointer(new(uint64))
	default:
		n = p.codec.makeList(1)
	}
	*(*unsafe.Pointer)(dst) = n
	return n
}

func (c *call) loadList(cd *codec, v *value, dst unsafe.Pointer) error {
	if v.kind != kindList {
		return errors.New("got " + kindName(v.kind) + ", want a list")
	}
	items, err := c.mem.values(v.dataPtr, v.items)
	if err != nil || len(items) == 0 {
		return err
	}
	list := cd.makeList(len(items))
	*(*[]byte)(dst) = unsafe.Slice((*byte)(list), len(items)) // len and cap count items
	for i := range items {
		if err := loadValue(c.mem, cd, &items[i], unsafe.Add(list, uintptr(i)*cd.size)); err != nil {
			return err
		}
	}
	return nil
}

func loadValue(m *memory, cd *codec, v *value, dst unsafe.Pointer) error {
	if v.kind != cd.kind {
		return errors.New("got " + kindName(v.kind) + ", want " + kindName(cd.kind))
	}
	if cd.dtype != 0 && DType(v.dtype) != cd.dtype {
		return errors.New("got " + DType(v.dtype).String() + ", want " + cd.dtype.String())
	}
	return cd.load(m, cd, v, dst)
}

// store describes the fields of the struct at src as the request's outputs.
func (c *call) store(ports []port, src unsafe.Pointer) error {
	if len(c.out) < len(ports) {
		return errors.New("the request has room for fewer outputs than the function has")
	}
	for i := range ports {
		if err := c.storePort(&ports[i], unsafe.Add(src, ports[i].offset), &c.out[i]); err != nil {
			return errors.New("output " + ports[i].name + ": " + err.Error())
		}
	}
	return nil
}

func (c *call) storePort(p *port, src unsafe.Pointer, v *value) error {
	*v = value{kind: p.codec.kind, namePtr: v.namePtr, nameLen: v.nameLen}
	if p.optional {
		if src = *(*unsafe.Pointer)(src); src == nil {
			v.kind, v.flags = 0, flagAbsent
			return nil
		}
	}
	if p.list {
		return c.storeList(p.codec, src, v)
	}
	return p.codec.store(c.mem, p.codec, src, v)
}

func (c *call) storeList(cd *codec, src unsafe.Pointer, v *value) error {
	list := *(*[]byte)(src) // len counts items
	v.kind, v.items = kindList, uint32(len(list))
	if len(list) == 0 {
		return nil
	}
	block := alignedBytes(len(list) * valueSize)
	items := unsafe.Slice((*value)(unsafe.Pointer(unsafe.SliceData(block))), len(list))
	for i := range items {
		items[i].kind = cd.kind
		from := unsafe.Add(unsafe.Pointer(unsafe.SliceData(list)), uintptr(i)*cd.size)
		if err := cd.store(c.mem, cd, from, &items[i]); err != nil {
			return err
		}
	}
	return c.mem.put(v, block, true)
}
