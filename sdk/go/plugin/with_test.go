package plugin

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

type innerWith struct {
	X float32 `with:"x" default:"2"`
}

type sampleWith struct {
	Size   int         `with:"size" default:"224" min:"1" max:"1000"`
	Big    int64       `with:"big"`
	Small  int32       `with:"small"`
	Ratio  float64     `with:"ratio" default:"0.5"`
	On     bool        `with:"on" default:"true"`
	Layout string      `with:"layout" default:"nchw" enum:"nchw nhwc" doc:"order of dimensions"`
	Mean   []float64   `with:"mean" default:"[0.485,0.456]" min:"0"`
	Labels []string    `with:"labels"`
	Inner  innerWith   `with:"inner"`
	Many   []innerWith `with:"many"`
}

func TestDecodeWith(t *testing.T) {
	base := sampleWith{
		Size: 224, Ratio: 0.5, On: true, Layout: "nchw", Mean: []float64{0.485, 0.456}, Inner: innerWith{2},
	}
	for _, c := range []struct {
		doc    string
		change func(*sampleWith)
	}{
		{``, func(*sampleWith) {}},
		{` {} `, func(*sampleWith) {}},
		{`{"size": 7}`, func(w *sampleWith) { w.Size = 7 }},
		{`{"size": 7.0}`, func(w *sampleWith) { w.Size = 7 }},
		{`{"size": 1e2}`, func(w *sampleWith) { w.Size = 100 }},
		{`{"big": 9223372036854775807}`, func(w *sampleWith) { w.Big = 1<<63 - 1 }},
		{`{"on": false, "ratio": -2.5}`, func(w *sampleWith) { w.On, w.Ratio = false, -2.5 }},
		{`{"layout":"nhwc","labels":["a","\u00e9\ud83d\ude00"]}`, func(w *sampleWith) {
			w.Layout, w.Labels = "nhwc", []string{"a", "é😀"}
		}},
		{`{"mean": []}`, func(w *sampleWith) { w.Mean = []float64{} }},
		{`{"inner": {"x": 3}, "many": [{}, {"x": 1}]}`, func(w *sampleWith) {
			w.Inner, w.Many = innerWith{3}, []innerWith{{2}, {1}}
		}},
	} {
		want := base
		c.change(&want)
		got, err := DecodeWith[sampleWith]([]byte(c.doc))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", c.doc, got, err, want)
		}
	}
}

func TestDecodeWithRefuses(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"siez": 1}`, `unknown field "siez"`},
		{`{"size": 0}`, "size: 0 is below 1"},
		{`{"size": 1001}`, "size: 1001 is above 1000"},
		{`{"size": 1.5}`, "not a whole number"},
		{`{"size": "1"}`, "expected a number"},
		{`{"size": 1, "size": 2}`, "twice"},
		{`{"small": 2147483648}`, "out of range"},
		{`{"big": 9223372036854775808}`, "not a whole number"},
		{`{"ratio": 1e999}`, "out of range"},
		{`{"on": 1}`, "expected true or false"},
		{`{"layout": "hwc"}`, "none of nchw, nhwc"},
		{`{"mean": [1, -1]}`, "below 0"},
		{`{"mean": 1}`, "expected an array"},
		{`{"inner": {"y": 1}}`, `unknown field "y"`},
		{`{"labels": ["a",]}`, "expected a string"},
		{`{"labels": ["a"`, "expected ',' or ']'"},
		{`[]`, "expected an object"},
		{`{} {}`, "something after"},
		{`{"a`, "unfinished"},
	} {
		_, err := DecodeWith[sampleWith]([]byte(c.doc))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.doc, err, c.want)
		}
	}
}

type requiredWith struct {
	Labels []string `with:"labels,required"`
}

func (w *requiredWith) Validate() error {
	if len(w.Labels) == 0 {
		return errors.New("no labels")
	}
	return nil
}

func TestRequiredAndValidate(t *testing.T) {
	if _, err := DecodeWith[requiredWith](nil); err == nil || err.Error() != "labels is required" {
		t.Errorf("got %v", err)
	}
	if _, err := DecodeWith[requiredWith]([]byte(`{"labels":[]}`)); err == nil || err.Error() != "no labels" {
		t.Errorf("got %v", err)
	}
	if w, err := DecodeWith[requiredWith]([]byte(`{"labels":["a"]}`)); err != nil || len(w.Labels) != 1 {
		t.Errorf("got %v, %v", w, err)
	}
}

// preparedWith makes something of its configuration once.
type preparedWith struct {
	Text  string `with:"text" default:"a b"`
	words []string
}

func (w *preparedWith) Validate() error {
	w.words = strings.Fields(w.Text)
	return nil
}

func TestValidatePrepares(t *testing.T) {
	for doc, want := range map[string]int{``: 2, `{"text":"a b c"}`: 3} {
		if w, err := DecodeWith[preparedWith]([]byte(doc)); err != nil || len(w.words) != want {
			t.Errorf("%s: got %v, %v, want %d words", doc, w, err, want)
		}
	}
	if _, err := DecodeWith[preparedWith]([]byte(`{"words":["a"]}`)); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("a field of the struct's own was set: %v", err)
	}
	f := Func("prepared", "", func(_ *Context, _ None, w preparedWith) (None, error) {
		if len(w.words) != 2 {
			return None{}, errors.New("not prepared")
		}
		return None{}, nil
	})
	if err := Check(Plugin{Name: "p", Functions: []Function{f}}); err != nil {
		t.Error(err)
	}
}

func TestWithTypesAreChecked(t *testing.T) {
	for _, c := range []struct {
		typ  any
		want string
	}{
		{struct{ A int }{}, "tag"},
		{struct {
			a int `with:"a"`
		}{}, "exported"},
		{struct {
			A map[string]int `with:"a"`
		}{}, "no type"},
		{struct {
			A int `with:"a" default:"x"`
		}{}, "default"},
		{struct {
			A int `with:"a" default:"5" max:"4"`
		}{}, "above"},
		{struct {
			A int `with:"a" min:"x"`
		}{}, "not a number"},
		{struct {
			A int `with:"a,optional"`
		}{}, "not"},
		{struct {
			A int `with:"a"`
			B int `with:"a"`
		}{}, "twice"},
		{struct {
			A string `with:"a" default:"x" enum:"y z"`
		}{}, "none of"},
		{3, "not a struct"},
	} {
		_, err := withFieldsOf(reflect.TypeOf(c.typ))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: got %v, want %q", c.typ, err, c.want)
		}
	}
}

func FuzzDecodeWith(f *testing.F) {
	f.Add([]byte(`{"size": 7, "mean": [1,2], "inner": {"x": 1}, "labels": ["\ud83d\ude00"]}`))
	f.Add([]byte(`{"big": -9223372036854775808, "many": [{"x":1e3}], "on": false}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, err := DecodeWith[sampleWith](doc); err == nil && len(doc) > 0 && !ValidJSON(doc) {
			t.Errorf("%q was taken and is not JSON", doc)
		}
	})
}
