package sandbox

import (
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

func hostValInfo(c hostCall) {
	v, ok := c.in.state.handles.get(c.u32(0))
	if !ok {
		c.ret(abi.ErrNotFound)
		return
	}
	desc, ok := c.bytes(c.u32(1), abi.ValueSize)
	switch {
	case !ok:
		c.ret(abi.ErrBadPtr)
	default:
		fillDescriptor(desc, &v.Value, c.u32(0))
		c.ret(0)
	}
}

func hostValRead(c hostCall) {
	v, ok := c.in.state.handles.get(c.u32(0))
	if !ok {
		c.ret(abi.ErrNotFound)
		return
	}
	off := c.st[1]
	if off > uint64(len(v.Data)) {
		c.ret(abi.ErrTooLarge)
		return
	}
	src := v.Data[off:]
	src = src[:min(uint64(len(src)), uint64(c.u32(3)), 1<<31-1)]
	dst, ok := c.bytes(c.u32(2), uint32(len(src)))
	if !ok {
		c.ret(abi.ErrBadPtr)
		return
	}
	c.ret(int32(pieces.Copy(dst, src)))
}

func hostValMake(c hostCall) {
	s := c.in.state
	desc, ok := c.bytes(c.u32(0), abi.ValueSize)
	if !ok {
		c.ret(abi.ErrBadPtr)
		return
	}
	d := readDescriptor(desc)
	r := &reader{mem: c.in.memory(), handles: &s.handles, budget: s.maxOutput}
	var v value.Value
	var f fault
	c.work(int64(d.dataLen), func() { f = r.value(&v, &d, nil, nil) })
	if f != "" {
		c.note("val_make: " + string(f))
		c.ret(abi.ErrBadPtr)
		return
	}
	c.in.chargeContent(v.Kind, len(v.Data))
	if !s.handles.room(v.Size(), s.maxOutput) {
		c.ret(abi.ErrQuota)
		return
	}
	block, copied := r.detach()
	c.in.charge(uint64(copied) / bytesPerUnit)
	h, _ := s.handles.add(v, block, s.maxOutput) // there is room
	c.ret(int32(h))
}

func hostValDrop(c hostCall) {
	if !c.in.state.handles.drop(c.u32(0)) {
		c.ret(abi.ErrNotFound)
		return
	}
	c.ret(0)
}
