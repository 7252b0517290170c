package plugin

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

type describedIn struct {
	Image Tensor[uint8]      `tdm:"image,shape=h w 3" doc:"decoded"`
	Heat  *Tensor[float32]   `tdm:"heat,shape=1 1 ? w"`
	Lines []Tensor[Float16]  `tdm:"lines"`
	Any   AnyTensor          `tdm:"any"`
	Limit int64              `tdm:"limit"`
	Text  string             `tdm:"text"`
	Docs  []JSON             `tdm:"docs"`
	Raw   []byte             `tdm:"raw"`
	Photo Image              `tdm:"photo"`
	Names Tensor[string]     `tdm:"names,shape="`
	Flags []Tensor[BFloat16] `tdm:"flags,shape=n"`
}

type describedOut struct {
	Agree bool `tdm:"agree"`
}

func describedPlugin() Plugin {
	skip := NewOutcome("skip", 1)
	return Plugin{
		Name: "sample", Version: "1", Doc: "all kinds", Stateful: true,
		Functions: []Function{
			Func("all", "every kind", func(*Context, describedIn, sampleWith) (describedOut, error) {
				return describedOut{}, nil
			}, skip),
			Func("none", "", func(*Context, None, None) (None, error) { return None{}, nil }),
			Func("needs", "", func(*Context, None, requiredWith) (None, error) { return None{}, nil }),
		},
	}
}

const described = `{"name":"sample","version":"1","doc":"all kinds","stateful":true,"functions":[
 {"name":"all","doc":"every kind","inputs":[
  {"name":"image","doc":"decoded","kind":"tensor","dtype":"UINT8","shape":["h","w",3]},
  {"name":"heat","kind":"tensor","dtype":"FP32","shape":[1,1,"?","w"],"optional":true},
  {"name":"lines","kind":"tensor","dtype":"FP16","list":true},
  {"name":"any","kind":"tensor"},
  {"name":"limit","kind":"tensor","dtype":"INT64","shape":[]},
  {"name":"text","kind":"text"},
  {"name":"docs","kind":"json","list":true},
  {"name":"raw","kind":"bytes"},
  {"name":"photo","kind":"image"},
  {"name":"names","kind":"tensor","dtype":"BYTES","shape":[]},
  {"name":"flags","kind":"tensor","dtype":"BF16","shape":["n"],"list":true}],
 "outputs":[{"name":"agree","kind":"tensor","dtype":"BOOL","shape":[]}],
 "with":{"type":"object","properties":{
  "size":{"default":224,"type":"integer","minimum":1,"maximum":1000},
  "big":{"type":"integer"},
  "small":{"type":"integer"},
  "ratio":{"default":0.5,"type":"number"},
  "on":{"default":true,"type":"boolean"},
  "layout":{"description":"order of dimensions","default":"nchw","type":"string","enum":["nchw","nhwc"]},
  "mean":{"default":[0.485,0.456],"type":"array","items":{"type":"number","minimum":0}},
  "labels":{"type":"array","items":{"type":"string"}},
  "inner":{"type":"object","properties":{"x":{"default":2,"type":"number"}},"additionalProperties":false},
  "many":{"type":"array","items":{"type":"object","properties":{"x":{"default":2,"type":"number"}},
   "additionalProperties":false}}},
  "additionalProperties":false},
 "outcomes":{"skip":1}},
 {"name":"none","inputs":[],"outputs":[]},
 {"name":"needs","inputs":[],"outputs":[],"with":{"type":"object",
  "properties":{"labels":{"type":"array","items":{"type":"string"}}},
  "required":["labels"],"additionalProperties":false}}]}`

func TestDescribe(t *testing.T) {
	if err := Check(describedPlugin()); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(described)); err != nil {
		t.Fatal(err)
	}
	if got := string(Describe(describedPlugin())); got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}

func TestCheckReportsEverything(t *testing.T) {
	run := func(*Context, struct {
		A int
		B chan int        `tdm:"b"`
		C string          `tdm:"c,shape=n"`
		D Tensor[float32] `tdm:"d,shap=n"`
		E Tensor[float32] `tdm:"e,shape=n -1"`
		F float32         `tdm:"f,shape=1"`
		G []float32       `tdm:"g"`
		H string          `tdm:"no spaces"`
		I string          `tdm:"i"`
		J string          `tdm:"i"`
	}, struct{ X int },
	) (int, error) {
		return 0, nil
	}
	err := Check(Plugin{Functions: []Function{
		Func("", "", run, NewOutcome("x", 0)),
		Func("twice", "", func(*Context, None, None) (None, error) { return None{}, nil }),
		Func("twice", "", func(*Context, None, None) (None, error) { return None{}, nil }),
		{},
	}})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"plugin name", "the name is not one", "field A", "field B", "field C: only tensors", "field D: unknown option",
		`dimension "-1"`, "field F: a plain number", "field G", `port "no spaces"`, `port "i" stands there twice`, "field X",
		"int is not a struct", "outcomes need", "function twice stands there twice", "not made by",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %q in\n%v", want, err)
		}
	}
	if got := string(Describe(Plugin{Name: "x"})); got != `{"name":"x","error":"the plugin has no functions"}` {
		t.Errorf("got %s", got)
	}
}
