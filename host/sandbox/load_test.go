package sandbox_test

import (
	"bytes"
	"errors"
	gostrings "strings"
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

func wantReject(t *testing.T, err error, code, text string) {
	t.Helper()
	var re *sandbox.RejectError
	if !errors.As(err, &re) {
		t.Fatalf("got %v, want a RejectError", err)
	}
	for _, r := range re.Reasons {
		if r.Code == code && gostrings.Contains(r.Text, text) {
			return
		}
	}
	t.Errorf("got reasons %+v, want %s: %s", re.Reasons, code, text)
}

func TestLoadRefuses(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	values := moduleBytes(t, "values")
	for _, tt := range []struct {
		name, code, text string
		wasm             []byte
	}{
		{"nothing", "malformed", "", nil},
		{"no module", "malformed", "", []byte("not a module at all")},
		{"cut", "malformed", "", values[:len(values)/2]},
		{"no exports", "export", `does not export the function "tdm1_run"`, []byte("\x00asm\x01\x00\x00\x00")},
		{"no memory", "export", `does not export its memory as "memory"`, []byte("\x00asm\x01\x00\x00\x00")},
		{"other export", "export", `"tdm1_run"`, bytes.Replace(values, []byte("tdm1_run"), []byte("tdm1_ran"), 1)},
		{"other memory", "export", `"memory"`, bytes.Replace(values, []byte("\x06memory"), []byte("\x06mammoy"), 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.Load(t.Context(), tt.wasm)
			wantReject(t, err, tt.code, tt.text)
		})
	}
	if got := h.Stats().Programs; got != 0 {
		t.Errorf("%d programs are kept after refusals", got)
	}
}

// A description is text inside the module: change it and see.
func TestLoadDescriptions(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	values := moduleBytes(t, "values")
	for _, tt := range []struct{ name, old, new, text string }{
		{"no JSON", `{"name":"values"`, `["name":"values"`, "invalid character"},
		{"bad name", `{"name":"values"`, `{"name":"val/es"`, "plugin name"},
		{"unknown field", `"version":`, `"verslon":`, "unknown field"},
		{"unknown kind", `{"name":"text","kind":"text"`, `{"name":"text","kind":"tuxt"`, `kind "tuxt"`},
		{"unknown dtype", `"UINT8"`, `"UINT9"`, `dtype "UINT9"`},
		{"same function", `{"name":"copy"`, `{"name":"echo"`, `function "echo" stands twice`},
		{"same port", `{"name":"json"`, `{"name":"text"`, `"text" stands twice`},
		{"outcome out of range", `"own":255`, `"own":256`, `outcome "own" is 256`},
		{"the SDK's own words", `"version":"1.0"`, `"error":"wrong"`, "description: wrong"},
		{"outcome twice", `"short":2`, `"short":1`, "both 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.old) != len(tt.new) {
				t.Fatal("the module must keep its length")
			}
			mod := bytes.Replace(values, []byte(tt.old), []byte(tt.new), 1)
			_, err := h.Load(t.Context(), mod)
			wantReject(t, err, "description", tt.text)
		})
	}
}

func TestDescription(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	d := load(t, h, "values").Description()
	if d.Name != "values" || d.Version != "1.0" || len(d.Functions) != 9 {
		t.Errorf("got %+v", d)
	}
	y := d.Functions[3].Outputs[0]
	if y.Name != "y" || y.DType != "FP32" || len(y.Shape) != 3 || y.Shape[2] != (abi.Dim{Size: 3}) {
		t.Errorf("got port %+v", y)
	}
}

func TestValidateWith(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	p, q := load(t, h, "services"), load(t, h, "values")
	for _, tt := range []struct {
		p        *sandbox.Plugin
		function string
		with     string
		want     string
	}{
		{p, "run", `{"model":"x"}`, ""},
		{p, "run", `{}`, ""},
		{p, "run", ``, ""},
		{p, "run", `{"model":3}`, "model"},
		{p, "run", `{"other":"x"}`, "other"},
		{p, "run", `[]`, "not a JSON object"},
		{p, "run", `{`, "configuration"},
		{p, "ran", `{}`, "no function"},
		{q, "echo", ``, ""},
		{q, "echo", `{}`, ""},
		{q, "echo", `{"a":1}`, "takes none"},
	} {
		err := tt.p.ValidateWith(tt.function, []byte(tt.with))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !gostrings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s with %s: got %v, want %q", tt.function, tt.with, err, tt.want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := (sandbox.Config{}).Validate(); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
	bad := sandbox.Config{
		MemoryLimitBytes: 1, ArenaBytes: 1, MaxInstances: -1, MaxInstancesPerPlugin: 5, MaxInstancesPerTenant: -1, MaxWaiting: -1, IdleTimeout: -1,
		UploadTimeout: -1, DescribeTimeout: -1, CallTimeout: -1, MaxLogBytes: -1, MaxLogLines: -1, MaxRecords: -1,
		MaxRecordBytes: -1, MaxOutputBytes: -1, MaxArenaBytes: -1, GuestBytes: -1,
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, field := range []string{
		"MemoryLimitBytes", "GuestBytes", "ArenaBytes", "MaxInstances", "MaxInstancesPerPlugin", "MaxInstancesPerTenant", "MaxWaiting", "IdleTimeout", "UploadTimeout",
		"DescribeTimeout", "CallTimeout", "MaxLogBytes", "MaxLogLines", "MaxRecords", "MaxRecordBytes", "MaxOutputBytes",
	} {
		if !gostrings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if _, err := sandbox.New(t.Context(), bad); err == nil {
		t.Error("New takes a bad Config")
	}
}
