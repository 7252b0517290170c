package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// parseValue reads a flag's bytes as the type that the graph declares.
func parseValue(typ string, data []byte) (*tandemv1.Value, error) {
	switch {
	case strings.HasPrefix(typ, "list of "):
		return parseList(strings.TrimPrefix(typ, "list of "), data)
	case typ == "image":
		return client.Image(data), nil
	case typ == "bytes":
		return client.Bytes(data, ""), nil
	case typ == "json":
		if !json.Valid(data) {
			return nil, fmt.Errorf("not a JSON document")
		}
		return client.JSON(string(data)), nil
	case strings.HasPrefix(typ, "tensor"):
		return parseTensor(typ, data)
	default:
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("not UTF-8 text")
		}
		return client.Text(string(data)), nil
	}
}

// parseList reads a JSON array whose items are texts, documents or tensors.
func parseList(typ string, data []byte) (*tandemv1.Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("want a JSON array: %w", err)
	}
	items := make([]*tandemv1.Value, len(raw))
	for i, r := range raw {
		item := []byte(r)
		var s string
		if typ == "text" && json.Unmarshal(r, &s) == nil {
			item = []byte(s)
		}
		v, err := parseValue(typ, item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		items[i] = v
	}
	return client.List(items...), nil
}

// parseTensor reads nested JSON lists; the shape is theirs and the element type the graph's, FP32 when it leaves it open.
func parseTensor(typ string, data []byte) (*tandemv1.Value, error) {
	name := "FP32"
	if words := strings.Fields(typ); len(words) > 1 && !strings.HasPrefix(words[1], "[") {
		name = words[1]
	}
	dtype, ok := tandemv1.DataType_value["DATA_TYPE_"+name]
	if !ok {
		return nil, fmt.Errorf("unknown element type %s", name)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("want nested JSON lists: %w", err)
	}
	t := &tandemv1.Tensor{DataType: tandemv1.DataType(dtype), Elements: &tandemv1.Elements{}}
	if err := flatten(t, doc, 0); err != nil {
		return nil, err
	}
	return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: t}}, nil
}

// flatten appends the elements below one level and checks that all lists of a level have one length.
func flatten(t *tandemv1.Tensor, doc any, level int) error {
	list, ok := doc.([]any)
	if !ok {
		if level != len(t.GetShape()) {
			return fmt.Errorf("the lists are not nested equally deep")
		}
		return addElement(t, doc)
	}
	n := int64(len(list))
	switch {
	case level < len(t.GetShape()):
		if t.GetShape()[level] != n {
			return fmt.Errorf("lists at level %d have %d and %d items", level, t.GetShape()[level], n)
		}
	case len(t.GetElements().GetFloats())+len(t.GetElements().GetInts())+len(t.GetElements().GetBools())+len(t.GetElements().GetStrings()) > 0:
		return fmt.Errorf("the lists are not nested equally deep")
	default:
		t.Shape = append(t.Shape, n)
	}
	for _, item := range list {
		if err := flatten(t, item, level+1); err != nil {
			return err
		}
	}
	return nil
}

func addElement(t *tandemv1.Tensor, doc any) error {
	e := t.GetElements()
	switch x := doc.(type) {
	case bool:
		e.Bools = append(e.Bools, x)
	case string:
		e.Strings = append(e.Strings, x)
	case json.Number:
		if isFloat(t.GetDataType()) {
			f, err := x.Float64()
			e.Floats = append(e.Floats, f)
			return err
		}
		n, err := x.Int64()
		e.Ints = append(e.Ints, n)
		return err
	default:
		return fmt.Errorf("an element is neither number, string nor bool")
	}
	return nil
}

func isFloat(d tandemv1.DataType) bool {
	switch d {
	case tandemv1.DataType_DATA_TYPE_FP16, tandemv1.DataType_DATA_TYPE_BF16, tandemv1.DataType_DATA_TYPE_FP32, tandemv1.DataType_DATA_TYPE_FP64:
		return true
	default:
		return false
	}
}

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
