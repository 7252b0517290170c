package sandbox

import (
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// fuzzFunction has an output of every kind.
func fuzzFunction() *function {
	f := &function{name: "f", symbols: []string{"n"}}
	for k := abi.KindTensor; k <= abi.KindImage; k++ {
		f.out = append(f.out,
			port{name: "a", kind: k, anyShape: true, optional: true},
			port{name: "b", kind: k, anyShape: true, optional: true, list: true})
	}
	f.out = append(f.out, port{name: "c", kind: abi.KindTensor, dtype: abi.FP32, dims: []dim{{sym: 0}, {sym: symAny}, {size: 3, sym: symNone}}, optional: true})
	return f
}

// FuzzAnswer reads answers out of arbitrary memory. Whatever it says yes to must hold together.
func FuzzAnswer(f *testing.F) {
	fn := fuzzFunction()
	mem := make([]byte, 16<<10)
	for i := range fn.out {
		d := mem[abi.ValueSize*i:]
		d[abi.ValKind] = byte(fn.out[i].kind)
		le.PutUint32(d[abi.ValDataPtr:], 8192)
		le.PutUint64(d[abi.ValDataLen:], 16)
	}
	f.Add(mem, uint32(0), uint32(len(fn.out)))
	f.Add([]byte{}, uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, mem []byte, outPtr, numOut uint32) {
		var b binding
		b.reset(len(fn.symbols))
		const budget = 1 << 20
		r := &reader{mem: mem, handles: &handles{}, budget: budget}
		out, port, flt := r.answer(fn, numOut, outPtr, false, &b)
		if flt != "" {
			return
		}
		if port != "" || len(out) != len(fn.out) {
			t.Fatalf("got %d outputs, port %q", len(out), port)
		}
		var total int64
		for i := range out {
			total += out[i].Size()
			if !out[i].IsZero() {
				checkWhole(t, &fn.out[i], &out[i])
			}
		}
		if total > budget {
			t.Fatalf("%d bytes within a budget of %d", total, budget)
		}
		if _, n := r.detach(); n != total {
			t.Fatalf("%d bytes detached, want %d", n, total)
		}
	})
}

func checkWhole(t *testing.T, p *port, v *value.Value) {
	t.Helper()
	var b binding
	b.reset(1)
	if flt := p.checkInput(v, &b); flt != "" {
		t.Fatalf("%s: %s", v.Describe(), flt)
	}
	items := v.Items
	if v.Kind != abi.KindList {
		items = []value.Value{*v}
	}
	for i := range items {
		if flt := content(items[i].Kind, items[i].DType, items[i].Shape, items[i].Data); flt != "" {
			t.Fatalf("%s: %s", items[i].Describe(), flt)
		}
	}
}

// FuzzDescription parses arbitrary descriptions.
func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"name":"p","functions":[{"name":"f","inputs":[{"name":"x","kind":"tensor","dtype":"FP32","shape":["n",3,"?"]}],"outputs":[],"with":{"type":"object"},"outcomes":{"a":1}}]}`))
	f.Add([]byte(`{"name":"p","functions":[{"name":"f","inputs":[],"outputs":[],"with":{"$ref":"file:///etc/passwd"}}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, funcs, err := parseDescription(doc)
		if err != nil {
			return
		}
		if len(funcs) != len(d.Functions) || !validName(d.Name) {
			t.Fatalf("got %d functions of %+v", len(funcs), d)
		}
		for _, fn := range funcs {
			h := newHead(fn)
			if len(h.bytes) < abi.RequestSize+abi.ValueSize*(len(fn.in)+len(fn.out))+errorCap {
				t.Fatalf("a head of %d bytes for %d ports", len(h.bytes), len(fn.in)+len(fn.out))
			}
		}
	})
}
