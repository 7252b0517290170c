package worker

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/tandem-serve/tandem/runners"
)

// FuzzFrames reads what a worker may send on its socket. Reading ends with an error or with the end of the data, and no frame is longer
// than what came.
func FuzzFrames(f *testing.F) {
	frame := func(k kind, body string, flags byte) []byte {
		b := make([]byte, headBytes, headBytes+len(body))
		b[0], b[12], b[16] = byte(k), byte(len(body)), flags
		return append(b, body...)
	}
	f.Add(append(frame(kindPong, `{"Resident":1}`, 0), frame(kindRing, "", 0)...))
	f.Add(frame(kindLoaded, `{"Signature":{"Inputs":[{"Name":"x","DType":1,"Dims":[{"Size":-1}]}]}}`, 0))
	f.Add(frame(kindReady, "{}", hasFile))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 32<<10 { // what a socket takes before anybody reads
			return
		}
		l, other, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		l.refuse = true
		defer func() {
			if err := l.close(); err != nil {
				t.Error(err)
			}
		}()
		_, werr := other.Write(data)
		if err := errors.Join(werr, other.Close()); err != nil {
			t.Fatal(err)
		}
		read := 0
		for {
			got, err := l.receive()
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) || read > len(data) {
					t.Errorf("%d of %d bytes were read: %v", read, len(data), err)
				}
				return
			}
			if got.file != nil {
				t.Error("a file came out of nothing")
			}
			if read += headBytes + len(got.body); read > len(data) {
				t.Fatalf("%d bytes were read of %d", read, len(data))
			}
		}
	})
}

// FuzzLoaded reads what a worker may say of a model that it has loaded: it is an error, or describes ports that a model may have.
func FuzzLoaded(f *testing.F) {
	for _, s := range []string{
		`{"Signature":{"Inputs":[{"Name":"x","DType":1,"Dims":[{"Size":-1,"Name":"n"},{"Size":3}]}],"Outputs":[{"Name":"y","DType":8,"JSON":true,"Dims":[]}]}}`,
		`{"Signature":{"Inputs":[{"Name":"x","DType":255,"Dims":null}]}}`,
		`{"Signature":{"Inputs":[{"Name":"x","DType":1,"Dims":[{"Size":-9223372036854775808}]}]}}`,
		`{"Fault":{"Kind":99,"Text":"no"}}`, `{"Grown":-1}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r loadReply
		if json.Unmarshal(body, &r) != nil {
			return
		}
		if r.Fault != nil {
			if err := faultOf(r.Fault.Kind, r.Fault.Text); err == nil {
				t.Error("a fault is no error")
			}
			return
		}
		if r.check() != nil {
			return
		}
		for _, p := range append(r.Signature.Inputs, r.Signature.Outputs...) {
			if p.Name == "" || !p.DType.Valid() || len(p.Dims) > maxRank || p.JSON && p.DType != runners.BYTES {
				t.Errorf("the port %+v", p)
			}
			for _, d := range p.Dims {
				if d.Size < -1 {
					t.Errorf("%s has a dimension of %d", p.Name, d.Size)
				}
			}
		}
		if r.Grown < 0 {
			t.Errorf("the worker has grown by %d", r.Grown)
		}
	})
}
