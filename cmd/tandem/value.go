package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// maxShown is how many elements of a tensor are printed.
const maxShown = 24

// valueText writes a value for people.
func valueText(v *tandemv1.Value) string {
	switch k := v.GetKind().(type) {
	case *tandemv1.Value_Text:
		if strings.Contains(k.Text, "\n") {
			return "\n  " + strings.ReplaceAll(k.Text, "\n", "\n  ")
		}
		return k.Text
	case *tandemv1.Value_Json:
		return indentJSON(k.Json)
	case *tandemv1.Value_Image:
		return fmt.Sprintf("image, %d bytes", len(k.Image.GetData()))
	case *tandemv1.Value_Bytes:
		return fmt.Sprintf("%d bytes", len(k.Bytes.GetData()))
	case *tandemv1.Value_List:
		lines := make([]string, len(k.List.GetItems()))
		for i, item := range k.List.GetItems() {
			lines[i] = fmt.Sprintf("\n  %d: %s", i, valueText(item))
		}
		return fmt.Sprintf("list of %d%s", len(lines), strings.Join(lines, ""))
	case *tandemv1.Value_Tensor:
		return tensorText(k.Tensor)
	default:
		return "nothing"
	}
}

// indentJSON lays a document out when it is too long for one line.
func indentJSON(doc string) string {
	var b bytes.Buffer
	if len(doc) < 100 || json.Indent(&b, []byte(doc), "  ", "  ") != nil {
		return doc
	}
	return b.String()
}

func tensorText(t *tandemv1.Tensor) string {
	var parts []string
	add := func(n int, at func(int) any) {
		for i := range min(n, maxShown) {
			parts = append(parts, fmt.Sprint(at(i)))
		}
		if n > maxShown {
			parts = append(parts, fmt.Sprintf("... %d more", n-maxShown))
		}
	}
	e := t.GetElements()
	add(len(e.GetFloats()), func(i int) any { return fmt.Sprintf("%.6g", e.GetFloats()[i]) })
	add(len(e.GetInts()), func(i int) any { return e.GetInts()[i] })
	add(len(e.GetUints()), func(i int) any { return e.GetUints()[i] })
	add(len(e.GetBools()), func(i int) any { return e.GetBools()[i] })
	add(len(e.GetStrings()), func(i int) any { return fmt.Sprintf("%q", e.GetStrings()[i]) })
	name := strings.TrimPrefix(t.GetDataType().String(), "DATA_TYPE_")
	if len(t.GetShape()) == 0 && len(parts) == 1 {
		return parts[0]
	}
	return fmt.Sprintf("%s %v [%s]", name, t.GetShape(), strings.Join(parts, " "))
}

// millis writes a duration in milliseconds.
func millis(d *durationpb.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.AsDuration().Microseconds())/1000)
}
