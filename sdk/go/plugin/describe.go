package plugin

import (
	"reflect"
	"strconv"
)

// describe returns the plugin's description as the server reads it. A plugin that is declared wrongly describes its
// faults instead, so that the one who pushes it sees them.
func describe(p Plugin) []byte {
	w := &JSONWriter{}
	w.BeginObject()
	w.Key("name")
	w.String(p.Name)
	if err := Check(p); err != nil {
		w.Key("error")
		w.String(err.Error())
		w.EndObject()
		return w.JSON()
	}
	writeText(w, "version", p.Version)
	writeText(w, "doc", p.Doc)
	writeTrue(w, "stateful", p.Stateful)
	w.Key("functions")
	w.BeginArray()
	for i := range p.Functions {
		p.Functions[i].describe(w)
	}
	w.EndArray()
	w.EndObject()
	return w.JSON()
}

// Describe returns the description of p that its module gives to the server: a JSON document. It is what graphs are
// checked against.
func Describe(p Plugin) JSON { return describe(p) }

func (f *Function) describe(w *JSONWriter) {
	w.BeginObject()
	w.Key("name")
	w.String(f.name)
	writeText(w, "doc", f.doc)
	w.Key("inputs")
	describePorts(w, f.in)
	w.Key("outputs")
	describePorts(w, f.out)
	if len(f.with) > 0 {
		w.Key("with")
		writeObjectSchema(w, f.with)
	}
	if len(f.outcomes) > 0 {
		w.Key("outcomes")
		w.BeginObject()
		for _, o := range f.outcomes {
			w.Key(o.name)
			w.Int(int64(o.code))
		}
		w.EndObject()
	}
	w.EndObject()
}

func describePorts(w *JSONWriter, ports []port) {
	w.BeginArray()
	for i := range ports {
		p := &ports[i]
		w.BeginObject()
		w.Key("name")
		w.String(p.name)
		writeText(w, "doc", p.doc)
		w.Key("kind")
		w.String(kindName(p.codec.kind))
		writeText(w, "dtype", p.codec.dtype.String())
		if p.hasShape {
			w.Key("shape")
			writeShape(w, p.shape)
		}
		writeTrue(w, "optional", p.optional)
		writeTrue(w, "list", p.list)
		w.EndObject()
	}
	w.EndArray()
}

func writeShape(w *JSONWriter, shape []string) {
	w.BeginArray()
	for _, d := range shape {
		if n, err := strconv.ParseInt(d, 10, 64); err == nil {
			w.Int(n)
		} else {
			w.String(d)
		}
	}
	w.EndArray()
}

func writeObjectSchema(w *JSONWriter, fields []withField) {
	w.BeginObject()
	writeObjectMembers(w, fields)
	w.EndObject()
}

func writeObjectMembers(w *JSONWriter, fields []withField) {
	w.Key("type")
	w.String("object")
	w.Key("properties")
	w.BeginObject()
	var required []string
	for i := range fields {
		w.Key(fields[i].name)
		fields[i].writeSchema(w, fields[i].typ, true)
		if fields[i].required {
			required = append(required, fields[i].name)
		}
	}
	w.EndObject()
	if required != nil {
		w.Key("required")
		writeStrings(w, required)
	}
	w.Key("additionalProperties")
	w.Bool(false)
}

// writeSchema writes the JSON Schema of one field, or of its items when top is false.
func (f *withField) writeSchema(w *JSONWriter, t reflect.Type, top bool) {
	w.BeginObject()
	if top {
		writeText(w, "description", f.doc)
		if f.fallback != "" {
			w.Key("default")
			w.Raw(JSON(f.fallback))
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		writeObjectMembers(w, f.fields)
	case reflect.Slice:
		w.Key("type")
		w.String("array")
		w.Key("items")
		f.writeSchema(w, t.Elem(), false)
	default:
		w.Key("type")
		w.String(schemaType(t))
		f.writeLimits(w)
	}
	w.EndObject()
}

func (f *withField) writeLimits(w *JSONWriter) {
	if f.min != "" {
		w.Key("minimum")
		w.Raw(JSON(f.min))
	}
	if f.max != "" {
		w.Key("maximum")
		w.Raw(JSON(f.max))
	}
	if len(f.enum) > 0 {
		w.Key("enum")
		writeStrings(w, f.enum)
	}
}

func schemaType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "number"
	default:
		return "integer"
	}
}

func writeText(w *JSONWriter, key, text string) {
	if text != "" {
		w.Key(key)
		w.String(text)
	}
}

func writeTrue(w *JSONWriter, key string, v bool) {
	if v {
		w.Key(key)
		w.Bool(true)
	}
}

func writeStrings(w *JSONWriter, list []string) {
	w.BeginArray()
	for _, s := range list {
		w.String(s)
	}
	w.EndArray()
}
