package sandbox

import (
	"fmt"
	"strings"
	"testing"
)

func TestSchemas(t *testing.T) {
	bomb := `{"$defs":{"d0":{"type":"object"}`
	for i := 1; i < 40; i++ {
		bomb += fmt.Sprintf(`,"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i-1, i-1)
	}
	bomb += `},"$ref":"#/$defs/d39"}`
	for _, tt := range []struct{ schema, want string }{
		{`true`, ""},
		{`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"},"b":{"$ref":"#/$defs/a"}},"$defs":{"a":{"enum":[1,2]}}}`, ""},
		{`{"allOf":[{"type":"object"}],"properties":{"x":{"$ref":"#/allOf/0"}}}`, ""},
		{`{"properties":{"a~/b":{"type":"string"},"c":{"$ref":"#/properties/a~0~1b"}}}`, ""},
		{bomb, "larger than"},
		{`{"$ref":"#"}`, "refers to itself"},
		{`{"properties":{"child":{"$ref":"#"}}}`, "refers to itself"},
		{`{"$ref":"#/$defs/none"}`, "not there"},
		{`{"$ref":"#/allOf/7","allOf":[]}`, "not there"},
		{`{"$ref":"file:///etc/passwd"}`, "within the document"},
		{`{"$ref":"other.json"}`, "within the document"},
		{`{"$id":"https://example.test/x","type":"object"}`, "within the document"},
		{`{"$dynamicRef":"#x"}`, "within the document"},
		{strings.Repeat(`{"not":`, 100) + `true` + strings.Repeat(`}`, 100), "deeper"},
		{`{"enum":[` + strings.Repeat(`1,`, 6000) + `1]}`, "larger than"},
		{`{"type":"obj"}`, "type"},
		{`{"pattern":"("}`, "regex"},
	} {
		_, err := compileSchema([]byte(tt.schema))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%.80s: got %v, want %q", tt.schema, err, tt.want)
		}
	}
}
