package sandbox

import (
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

const (
	maxRecordDoc = 64 << 10
	maxMetrics   = 1000
	maxKeyBytes  = 1024
	// clockStep is the resolution of the clocks that guests see.
	clockStep = time.Millisecond
)

// errno returns the number with which a service's error reaches a guest.
func errno(err error) int32 {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrNotFound):
		return abi.ErrNotFound
	case errors.Is(err, ErrDenied):
		return abi.ErrDenied
	case errors.Is(err, ErrQuota):
		return abi.ErrQuota
	default:
		return abi.ErrModel
	}
}

func hostConfigGet(c hostCall) {
	if c.u32(1) > maxKeyBytes {
		c.ret(abi.ErrNotFound)
		return
	}
	key, ok := c.text(c.u32(0), c.u32(1))
	if !ok {
		c.ret(abi.ErrBadPtr)
		return
	}
	v, ok := c.in.state.configValue(key)
	switch {
	case !ok:
		c.ret(abi.ErrNotFound)
		return
	case len(v) > math.MaxInt32:
		c.ret(abi.ErrTooLarge)
		return
	}
	if room := c.u32(3); uint32(len(v)) <= room {
		dst, ok := c.bytes(c.u32(2), uint32(len(v)))
		if !ok {
			c.ret(abi.ErrBadPtr)
			return
		}
		copy(dst, v)
	}
	c.ret(int32(len(v)))
}

// configValue returns a top-level value of the configuration: a string's text, anything else as JSON.
func (s *callState) configValue(key string) ([]byte, bool) {
	var obj map[string]json.RawMessage
	if json.Unmarshal(s.config, &obj) != nil {
		return nil, false
	}
	v, ok := obj[key]
	if !ok {
		return nil, false
	}
	var text string
	if json.Unmarshal(v, &text) == nil {
		return []byte(text), true
	}
	return v, true
}

func hostMetric(c hostCall) {
	s := c.in.state
	kind := MetricKind(int32(c.u32(0)))
	if c.u32(2) > maxNameBytes {
		c.ret(abi.ErrTooLarge)
		return
	}
	name, ok := c.text(c.u32(1), c.u32(2))
	switch {
	case !ok:
		c.ret(abi.ErrBadPtr)
	case kind < MetricCounter || kind > MetricHistogram || !validName(name):
		c.ret(abi.ErrNotFound)
	case s.metrics >= maxMetrics:
		c.ret(abi.ErrQuota)
	default:
		s.metrics++
		if s.services.Metric != nil {
			s.services.Metric(c.ctx, kind, name, math.Float64frombits(c.st[3]))
		}
		c.ret(0)
	}
}

// clock returns what a guest's clock shows, from a time of the host.
func (in *instance) clock(t int64) int64 {
	t += int64(in.skew) + int64(in.state.skew)
	return t - t%int64(clockStep)
}

// monotonic returns the guest's monotonic clock.
func (in *instance) monotonic() int64 {
	return in.clock(int64(time.Since(in.state.turn.account.born)) + int64(clockStep))
}

func hostNow(c hostCall) { c.st[0] = uint64(c.in.monotonic()) }

func hostRecord(c hostCall) {
	s := c.in.state
	if c.u32(1) > maxNameBytes || c.u32(3) > maxRecordDoc {
		c.ret(abi.ErrTooLarge)
		return
	}
	stream, ok := c.text(c.u32(0), c.u32(1))
	doc, ok2 := c.bytes(c.u32(2), c.u32(3))
	switch {
	case !ok || !ok2 || !validName(stream):
		c.ret(abi.ErrBadPtr)
	case s.services.Record == nil:
		c.ret(abi.ErrDenied)
	case s.records >= s.maxRecords || s.recordB+len(doc) > s.maxRecordB:
		c.ret(abi.ErrQuota)
	default:
		c.record(stream, doc)
	}
}

func (c hostCall) record(stream string, doc []byte) {
	s := c.in.state
	c.in.chargeContent(abi.KindJSON, len(doc))
	if content(abi.KindJSON, 0, nil, doc) != "" {
		c.ret(abi.ErrBadPtr)
		return
	}
	s.records++
	s.recordB += len(doc)
	c.ret(errno(s.services.Record(c.ctx, stream, append([]byte(nil), doc...))))
}
