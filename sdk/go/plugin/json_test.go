package plugin

import (
	"encoding/json"
	"math"
	"testing"
)

func TestJSONWriter(t *testing.T) {
	var w JSONWriter
	w.BeginObject()
	w.Key("a")
	w.BeginArray()
	w.Int(-1)
	w.Float(0.1)
	w.Float32(0.1)
	w.Float(1e300)
	w.Float(math.NaN())
	w.BeginObject()
	w.EndObject()
	w.EndArray()
	w.Key("b")
	w.String("\"\\\n\t\u2028ö\xff")
	w.Key("c")
	w.Bool(true)
	w.Key("d")
	w.Raw(JSON(`[null]`))
	w.EndObject()
	want := `{"a":[-1,0.1,0.1,1e+300,null,{}],"b":"\"\\\n\u0009\u2028ö�","c":true,"d":[null]}`
	if got := string(w.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid(w.JSON()) {
		t.Error("not valid")
	}
}

func TestFloatsReadBack(t *testing.T) {
	for _, v := range []float64{0, 1, -1.5, 1e-7, 1e21, 123456789.125, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		var w JSONWriter
		w.Float(v)
		var got float64
		if err := json.Unmarshal(w.JSON(), &got); err != nil || got != v {
			t.Errorf("%v: got %v, %v from %s", v, got, err, w.JSON())
		}
	}
}

func FuzzValidJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `[1,2.5e-3,"\u00e9\ud83d\ude00"]`, `{"a":{"b":[true,false,null]}}`, `01`, `1.`, `"\x"`, `{"a":1,}`, ` 1 `, `tru`,
		`-`, `--1`, `1e`, `"` + "\x01" + `"`, `[`, ``, `"\ud800"`, `1 2`, `{"a" 1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		// encoding/json takes strings that are not UTF-8 and nests deeper; beyond that the two agree.
		if ValidJSON(doc) && !json.Valid(doc) {
			t.Errorf("%q: valid here, not for encoding/json", doc)
		}
		if json.Valid(doc) && !ValidJSON(doc) && len(doc) < maxNesting && json.Valid([]byte(string([]rune(string(doc))))) {
			for _, r := range string(doc) {
				if r == 0xfffd {
					return
				}
			}
			t.Errorf("%q: valid for encoding/json, not here", doc)
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "\x00\x1f\x7f", "\u2028😀", "\xff", `"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		doc := AppendJSONString(nil, s)
		var want string
		if err := json.Unmarshal(doc, &want); err != nil {
			t.Fatalf("%q became %s: %v", s, doc, err)
		}
		sc := scanner{data: doc}
		got, err := sc.text()
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", doc, got, err, want)
		}
	})
}
