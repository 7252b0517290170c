package plugin

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// withField is one field of a With struct.
type withField struct {
	name     string
	doc      string
	fallback string // JSON, "" when there is none
	min, max string // numbers, "" when there is none
	enum     []string
	required bool
	index    int
	typ      reflect.Type
	fields   []withField // of a struct, or of a slice of structs
}

var errRequired = errors.New("is required")

// Validator is implemented by With structs that check more than tags can say, or prepare something from the configuration,
// such as a table, once: a field that is neither exported nor tagged is the struct's own and may keep it. Validate runs after
// decoding, before the first call; its error is what a caller of the function sees.
type Validator interface{ Validate() error }

// DecodeWith decodes the configuration doc into a W as the server's call would: defaults first, then doc, strictly, then
// Validate where W has it. An empty doc means {}.
func DecodeWith[W any](doc []byte) (W, error) {
	var w W
	err := decodeWith(&w, doc)
	return w, err
}

// decodeWith decodes doc into what w points to.
func decodeWith(w any, doc []byte) error {
	v := reflect.ValueOf(w).Elem()
	fields, err := withFieldsOf(v.Type())
	if err != nil {
		return err
	}
	if len(doc) == 0 {
		doc = []byte("{}")
	}
	s := &scanner{data: doc}
	if err := decodeStruct(s, fields, v); err != nil {
		return err
	}
	if !s.end() {
		return s.fail("something after the configuration")
	}
	if v, ok := w.(Validator); ok {
		return v.Validate()
	}
	return nil
}

// withFieldsOf reads the tags of a struct type.
func withFieldsOf(t reflect.Type) ([]withField, error) {
	if t.Kind() != reflect.Struct {
		return nil, errors.New(t.String() + " is not a struct")
	}
	var fields []withField
	var faults []error
	seen := map[string]bool{}
	for i := range t.NumField() {
		if sf := t.Field(i); !sf.IsExported() && sf.Tag == "" {
			continue // what Validate prepares
		}
		f, err := withFieldOf(t.Field(i), i)
		if err == nil && seen[f.name] {
			err = errors.New("stands there twice")
		}
		if err != nil {
			faults = append(faults, errors.New("field "+t.Field(i).Name+": "+err.Error()))
			continue
		}
		seen[f.name] = true
		fields = append(fields, f)
	}
	return fields, errors.Join(faults...)
}

func withFieldOf(sf reflect.StructField, index int) (withField, error) {
	tag, ok := sf.Tag.Lookup("with")
	if !ok || !sf.IsExported() {
		return withField{}, errors.New(`configuration is exported fields with a tag such as with:"name"`)
	}
	name, option, _ := strings.Cut(tag, ",")
	f := withField{
		name: name, doc: sf.Tag.Get("doc"), min: sf.Tag.Get("min"), max: sf.Tag.Get("max"),
		enum: strings.Fields(sf.Tag.Get("enum")), required: option == "required", index: index, typ: sf.Type,
	}
	if !validName(name) || option != "" && !f.required {
		return f, errors.New("tag " + quote(tag) + ` is not "name" or "name,required"`)
	}
	if err := f.checkType(sf.Type); err != nil {
		return f, err
	}
	for _, n := range []string{f.min, f.max} {
		if n != "" && !validNumber(n) {
			return f, errors.New("limit " + quote(n) + " is not a number")
		}
	}
	fallback, ok := sf.Tag.Lookup("default")
	if !ok {
		return f, nil
	}
	if f.fallback = fallback; sf.Type.Kind() == reflect.String {
		f.fallback = quote(fallback)
	}
	if err := f.decode(&scanner{data: []byte(f.fallback)}, reflect.New(sf.Type).Elem(), sf.Type); err != nil {
		return f, errors.New("default: " + err.Error())
	}
	return f, nil
}

func (f *withField) checkType(t reflect.Type) (err error) {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return nil
	case reflect.Slice:
		return f.checkType(t.Elem())
	case reflect.Struct:
		f.fields, err = withFieldsOf(t)
		return err
	default:
		return errors.New(t.String() + " is no type for a configuration")
	}
}

func decodeStruct(s *scanner, fields []withField, v reflect.Value) error {
	given := make([]bool, len(fields))
	err := s.object(func(name string) error {
		for i := range fields {
			if fields[i].name != name {
				continue
			}
			if given[i] {
				return errors.New(quote(name) + " stands there twice")
			}
			given[i] = true
			if err := fields[i].decode(s, v.Field(fields[i].index), fields[i].typ); err != nil {
				return errors.New(name + ": " + err.Error())
			}
			return nil
		}
		return errors.New("unknown field " + quote(name))
	})
	if err != nil {
		return err
	}
	for i := range fields {
		f := &fields[i]
		switch {
		case given[i]:
		case f.required:
			return &fieldError{f.name, errRequired}
		case f.fallback != "":
			if err := f.decode(&scanner{data: []byte(f.fallback)}, v.Field(f.index), f.typ); err != nil {
				return err
			}
		case f.typ.Kind() == reflect.Struct: // so that defaults inside it hold
			if err := decodeStruct(&scanner{data: []byte("{}")}, f.fields, v.Field(f.index)); err != nil {
				return &fieldError{f.name, err}
			}
		}
	}
	return nil
}

// fieldError puts a field's name before an error.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return e.field + " " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// decode reads one value of type t into v.
func (f *withField) decode(s *scanner, v reflect.Value, t reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool:
		switch {
		case s.word("true"):
			v.SetBool(true)
		case s.word("false"):
			v.SetBool(false)
		default:
			return s.fail("expected true or false")
		}
		return nil
	case reflect.String:
		return f.decodeString(s, v)
	case reflect.Slice:
		out := reflect.MakeSlice(t, 0, 4)
		err := s.array(func() error {
			item := reflect.New(t.Elem()).Elem()
			if err := f.decode(s, item, t.Elem()); err != nil {
				return err
			}
			out = reflect.Append(out, item)
			return nil
		})
		v.Set(out)
		return err
	case reflect.Struct:
		return decodeStruct(s, f.fields, v)
	default:
		return f.decodeNumber(s, v, t)
	}
}

func (f *withField) decodeString(s *scanner, v reflect.Value) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		return errors.New(quote(text) + " is none of " + strings.Join(f.enum, ", "))
	}
	v.SetString(text)
	return nil
}

func (f *withField) decodeNumber(s *scanner, v reflect.Value, t reflect.Type) error {
	text, err := s.number()
	if err != nil {
		return err
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errors.New(text + " is out of range")
	}
	if low, err := strconv.ParseFloat(f.min, 64); err == nil && n < low {
		return errors.New(text + " is below " + f.min)
	}
	if high, err := strconv.ParseFloat(f.max, 64); err == nil && n > high {
		return errors.New(text + " is above " + f.max)
	}
	if t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
		v.SetFloat(n)
		return nil
	}
	whole := int64(n)
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		whole = i
	} else if float64(whole) != n || n >= 1<<63 {
		return errors.New(text + " is not a whole number")
	}
	if v.OverflowInt(whole) {
		return errors.New(text + " is out of range")
	}
	v.SetInt(whole)
	return nil
}
