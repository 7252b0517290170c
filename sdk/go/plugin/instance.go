package plugin

import (
	"errors"
	"unicode/utf8"
	"unsafe"
)

// instance is a registered plugin with its configuration: what the exports of a module work on.
type instance struct {
	plugin Plugin
	host   Host
	config JSON
	with   []configured
	// last keeps the outputs of the last call alive until the next one; the server reads them after run returned.
	last unsafe.Pointer
}

// configured is the decoded configuration of one function, or why there is none.
type configured struct {
	value unsafe.Pointer
	err   error
}

func newInstance(p Plugin, h Host) *instance {
	i := &instance{plugin: p, host: h}
	i.configure(nil)
	return i
}

// configure decodes doc for every function. A node configures one function, so a document that does not fit another
// one is an error only when that one is called.
func (i *instance) configure(doc []byte) {
	i.config = append(JSON(nil), doc...)
	i.with = make([]configured, len(i.plugin.Functions))
	for n := range i.plugin.Functions {
		if decode := i.plugin.Functions[n].decode; decode != nil {
			i.with[n].value, i.with[n].err = decode(i.config)
		}
	}
}

// run serves the request at address req and returns its outcome.
func (i *instance) run(m *memory, req uint32) int32 {
	p, err := m.at(req, requestSize)
	if err != nil {
		return outcomeError
	}
	r := (*request)(p)
	r.numOut, r.errLen = 0, 0
	n, err := i.serve(m, r)
	if err == nil {
		r.numOut = n
		return 0
	}
	var o *OutcomeError
	if errors.As(err, &o) {
		return int32(o.code)
	}
	r.writeError(m, err.Error())
	return outcomeError
}

func (i *instance) serve(m *memory, r *request) (numOut uint32, err error) {
	if r.magic != abiMagic || r.major != abiMajor {
		return 0, errors.New("not a request of ABI version 1")
	}
	if uint64(r.op) >= uint64(len(i.plugin.Functions)) || i.plugin.Functions[r.op].invoke == nil {
		return 0, errors.New("no such function")
	}
	f, with := &i.plugin.Functions[r.op], i.with[r.op]
	if with.err != nil {
		return 0, errors.New("configuration: " + with.err.Error())
	}
	c := &call{mem: m, ctx: newContext(i, r)}
	if c.in, err = m.values(r.inPtr, r.numIn); err != nil {
		return 0, err
	}
	if c.out, err = m.values(r.outPtr, r.outCap); err != nil {
		return 0, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("panic: " + panicText(p))
		}
	}()
	i.last, err = f.invoke(c, with.value)
	return uint32(len(f.out)), err
}

func panicText(p any) string {
	switch p := p.(type) {
	case error:
		return p.Error()
	case string:
		return p
	default:
		return "a value that is neither an error nor a string"
	}
}

// writeError copies text to the request's buffer, cut between two runes where it is too long.
func (r *request) writeError(m *memory, text string) {
	if len(text) > int(r.errCap) {
		text = text[:r.errCap]
		for len(text) > 0 && !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	p, err := m.at(r.errPtr, uint64(len(text)))
	if err != nil || len(text) == 0 {
		return
	}
	r.errLen = uint32(copy(unsafe.Slice((*byte)(p), len(text)), text))
}
