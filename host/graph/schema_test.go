package graph_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/graph"
)

func TestCheckSchema(t *testing.T) {
	var doubling strings.Builder
	for i := range 60 {
		fmt.Fprintf(&doubling, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	for name, tc := range map[string]struct{ schema, want string }{
		"empty":         {`{}`, ""},
		"false":         {`false`, ""},
		"typical":       {`{"type":"object","properties":{"a":{"type":"integer","minimum":1}},"additionalProperties":false}`, ""},
		"local ref":     {`{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}`, ""},
		"recursive":     {`{"properties":{"child":{"$ref":"#"}}}`, ""},
		"not JSON":      {`{`, "not JSON"},
		"no schema":     {`{"type":"thing"}`, "at '/type'"},
		"remote":        {`{"$ref":"https://elsewhere.test/x.json"}`, "may not refer to another document"},
		"file":          {`{"$ref":"file:///etc/passwd"}`, "may not refer to another document"},
		"bad pattern":   {`{"pattern":"("}`, "regex"},
		"points away":   {`{"$ref":"#/$defs/b"}`, "b"},
		"loop":          {`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#"}}}`, "itself"},
		"dynamic":       {`{"$dynamicRef":"#a","$dynamicAnchor":"a"}`, "not allowed"},
		"embedded id":   {`{"$defs":{"a":{"$id":"https://b.test/","type":"object"}},"properties":{"x":{"$id":"https://c.test/"}}}`, "$id"},
		"doubling refs": {`{"$ref":"#/$defs/d0","$defs":{` + doubling.String() + `"d60":{"type":"object"}}}`, "too long"},
	} {
		err := graph.CheckSchema(json.RawMessage(tc.schema))
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
