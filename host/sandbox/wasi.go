package sandbox

import (
	"crypto/sha256"
	"math/rand/v2"
	"time"
)

// WASI preview 1 error numbers.
const (
	wasiOK         = 0
	wasiBadf       = 8
	wasiFault      = 21
	wasiInval      = 28
	wasiNotsup     = 58
	wasiNotcapable = 76
)

// wasiFuncs lists the shim: enough for the run-time libraries of Go, Rust and C to start. There is nothing behind it.
func wasiFuncs() []hostFunc {
	const m = "wasi_snapshot_preview1"
	badf, notcapable := wasiConst(wasiBadf), wasiConst(wasiNotcapable)
	fns := []hostFunc{
		{m, "args_get", "ii", "i", wasiConst(wasiOK)},
		{m, "args_sizes_get", "ii", "i", wasiNoSizes},
		{m, "environ_get", "ii", "i", wasiConst(wasiOK)},
		{m, "environ_sizes_get", "ii", "i", wasiNoSizes},
		{m, "clock_res_get", "ii", "i", wasiClockRes},
		{m, "clock_time_get", "iIi", "i", wasiClockTime},
		{m, "fd_write", "iiii", "i", wasiFdWrite},
		{m, "fd_read", "iiii", "i", wasiFdRead},
		{m, "fd_fdstat_get", "ii", "i", wasiFdstat},
		{m, "poll_oneoff", "iiii", "i", wasiPoll},
		{m, "proc_exit", "i", "", func(c hostCall) { unwind(c.u32(0)) }},
		{m, "random_get", "ii", "i", wasiRandom},
		{m, "sched_yield", "", "i", wasiConst(wasiOK)},
	}
	for _, f := range []struct{ name, params string }{
		{"fd_advise", "iIIi"},
		{"fd_allocate", "iII"},
		{"fd_close", "i"},
		{"fd_datasync", "i"},
		{"fd_fdstat_set_flags", "ii"},
		{"fd_fdstat_set_rights", "iII"},
		{"fd_filestat_get", "ii"},
		{"fd_filestat_set_size", "iI"},
		{"fd_filestat_set_times", "iIIi"},
		{"fd_pread", "iiiIi"},
		{"fd_prestat_dir_name", "iii"},
		{"fd_prestat_get", "ii"},
		{"fd_pwrite", "iiiIi"},
		{"fd_readdir", "iiiIi"},
		{"fd_renumber", "ii"},
		{"fd_seek", "iIii"},
		{"fd_sync", "i"},
		{"fd_tell", "ii"},
	} {
		fns = append(fns, hostFunc{m, f.name, f.params, "i", badf})
	}
	for _, f := range []struct{ name, params string }{
		{"path_create_directory", "iii"},
		{"path_filestat_get", "iiiii"},
		{"path_filestat_set_times", "iiiiIIi"},
		{"path_link", "iiiiiii"},
		{"path_open", "iiiiiIIii"},
		{"path_readlink", "iiiiii"},
		{"path_remove_directory", "iii"},
		{"path_rename", "iiiiii"},
		{"path_symlink", "iiiii"},
		{"path_unlink_file", "iii"},
	} {
		fns = append(fns, hostFunc{m, f.name, f.params, "i", notcapable})
	}
	return fns
}

func wasiConst(errno int32) func(hostCall) { return func(c hostCall) { c.ret(errno) } }

func wasiNoSizes(c hostCall) {
	if !c.mem.WriteUint32Le(c.u32(0), 0) || !c.mem.WriteUint32Le(c.u32(1), 0) {
		c.ret(wasiFault)
		return
	}
	c.ret(wasiOK)
}

// putTime writes a time of 8 bytes and sets the result.
func (c hostCall) putTime(addr uint32, ns int64) {
	c.ret(wasiOK)
	if !c.mem.WriteUint64Le(addr, uint64(ns)) {
		c.ret(wasiFault)
	}
}

func wasiClockRes(c hostCall) {
	if c.u32(0) > 1 {
		c.ret(wasiInval)
		return
	}
	c.putTime(c.u32(1), int64(clockStep))
}

func wasiClockTime(c hostCall) {
	switch c.u32(0) {
	case 0: // realtime
		c.putTime(c.u32(2), c.in.clock(time.Now().UnixNano()))
	case 1: // monotonic
		c.putTime(c.u32(2), c.in.monotonic())
	default:
		c.ret(wasiInval)
	}
}

// eachVec calls fn for every vector of an array of n (address, length) pairs until it returns false.
func (c hostCall) eachVec(addr, n uint32, fn func(b []byte) bool) (ok bool) {
	const maxVecs = 1024
	array, ok := c.bytes(addr, min(n, maxVecs)*8)
	if !ok {
		return false
	}
	for ; len(array) >= 8; array = array[8:] {
		b, ok := c.bytes(le.Uint32(array), le.Uint32(array[4:]))
		if !ok {
			return false
		}
		if !fn(b) {
			break
		}
	}
	return true
}

func wasiFdWrite(c hostCall) {
	fd := c.u32(0)
	if fd != 1 && fd != 2 {
		c.ret(wasiBadf)
		return
	}
	// A vector can be as long as the memory; what the log would drop is not looked at, but counts as written.
	var written uint32
	ok := c.eachVec(c.u32(1), c.u32(2), func(b []byte) bool {
		written += uint32(len(b))
		c.in.state.write(c.ctx, int(fd-1), b[:min(len(b), c.in.state.log.maxBytes)])
		return true
	})
	if !ok || !c.mem.WriteUint32Le(c.u32(3), written) {
		c.ret(wasiFault)
		return
	}
	c.ret(wasiOK)
}

func wasiFdRead(c hostCall) {
	switch {
	case c.u32(0) != 0:
		c.ret(wasiBadf)
	case !c.mem.WriteUint32Le(c.u32(3), 0):
		c.ret(wasiFault)
	default:
		c.ret(wasiOK)
	}
}

// wasiFdstat reports a character device without rights.
func wasiFdstat(c hostCall) {
	if c.u32(0) > 2 {
		c.ret(wasiBadf)
		return
	}
	b, ok := c.bytes(c.u32(1), 24)
	if !ok {
		c.ret(wasiFault)
		return
	}
	clear(b)
	b[0] = 2 // character device
	c.ret(wasiOK)
}

// wasiRandom fills a buffer from a generator that is seeded by plugin, configuration and request.
func wasiRandom(c hostCall) {
	b, ok := c.bytes(c.u32(0), c.u32(1))
	if !ok {
		c.ret(wasiFault)
		return
	}
	c.in.charge(randomFuel * uint64(len(b)))
	s := c.in.state
	if s.rng == nil {
		seed := append([]byte("tandem random 1\x00"), c.in.prog.digest[:]...)
		seed = le.AppendUint64(seed, s.requestID)
		s.rng = rand.NewChaCha8(sha256.Sum256(append(seed, s.config...)))
	}
	const step = 1 << 20
	for len(b) > 0 {
		n := min(len(b), step)
		_, _ = s.rng.Read(b[:n]) // never fails
		b = b[n:]
		s.checkEnd(c.ctx, time.Now())
	}
	c.ret(wasiOK)
}

// Layout of a subscription (48 bytes) and an event (32 bytes) of poll_oneoff.
const (
	subBytes   = 48
	eventBytes = 32
	maxSubs    = 256
	maxSleep   = 365 * 24 * time.Hour
)

// wasiPoll never waits: the guest's clocks jump to the earliest time that it asked for.
func wasiPoll(c hostCall) {
	n := c.u32(2)
	if n == 0 || n > maxSubs {
		c.ret(wasiInval)
		return
	}
	subs, ok := c.bytes(c.u32(0), n*subBytes)
	events, ok2 := c.bytes(c.u32(1), n*eventBytes)
	if !ok || !ok2 {
		c.ret(wasiFault)
		return
	}
	subs = append([]byte(nil), subs...) // in and out may overlap
	c.in.sleep(subs)
	done := uint32(0)
	for ; len(subs) > 0; subs = subs[subBytes:] {
		due, isClock := c.in.due(subs)
		if isClock && due > 0 {
			continue
		}
		ev := events[done*eventBytes:][:eventBytes]
		clear(ev)
		copy(ev, subs[:8]) // the guest's own data
		ev[10] = subs[8]   // the type of event
		if !isClock {
			le.PutUint16(ev[8:], wasiNotsup)
		}
		done++
	}
	c.ret(wasiOK)
	if !c.mem.WriteUint32Le(c.u32(3), done) {
		c.ret(wasiFault)
	}
}

// due returns how long a clock subscription still has to wait.
func (in *instance) due(sub []byte) (d time.Duration, isClock bool) {
	if sub[8] != 0 {
		return 0, false
	}
	timeout := le.Uint64(sub[24:])
	if le.Uint16(sub[40:])&1 == 0 { // relative
		return time.Duration(min(timeout, uint64(maxSleep))), true
	}
	now := in.monotonic()
	if le.Uint32(sub[16:]) == 0 {
		now = in.clock(time.Now().UnixNano())
	}
	if timeout <= uint64(now) {
		return 0, true
	}
	return time.Duration(min(timeout-uint64(now), uint64(maxSleep))), true
}

// sleep moves the guest's clocks ahead by the shortest wait, and marks the subscriptions that are over by it: their wait
// becomes 0. A subscription that is no clock is ready at once.
func (in *instance) sleep(subs []byte) {
	shortest := maxSleep
	for b := subs; len(b) > 0; b = b[subBytes:] {
		d, isClock := in.due(b)
		if !isClock {
			return
		}
		shortest = min(shortest, d)
	}
	for b := subs; len(b) > 0; b = b[subBytes:] {
		d, _ := in.due(b)
		le.PutUint64(b[24:], uint64(d-shortest))
		le.PutUint16(b[40:], 0) // relative from here on
	}
	in.state.skew += shortest + clockStep
}
