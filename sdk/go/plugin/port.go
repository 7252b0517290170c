package plugin

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// JSON is a json value: one document, UTF-8.
type JSON []byte

// Image is an encoded image: JPEG, PNG, WebP or GIF. A Tensor[uint8] of shape "h w 3" receives images decoded.
type Image []byte

// port is one field of an In or Out struct.
type port struct {
	name     string
	doc      string
	shape    []string // as declared; nil means any
	hasShape bool
	optional bool // the field is a pointer
	list     bool // the field is a slice of values
	offset   uintptr
	codec    *codec
}

// portsOf reads the tags of a struct type.
func portsOf(t reflect.Type) ([]port, error) {
	if t.Kind() != reflect.Struct {
		return nil, errors.New(t.String() + " is not a struct")
	}
	var ports []port
	var faults []error
	seen := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		p, err := portOf(f)
		if err == nil && seen[p.name] {
			err = errors.New("port " + quote(p.name) + " stands there twice")
		}
		if err != nil {
			faults = append(faults, errors.New("field "+f.Name+": "+err.Error()))
			continue
		}
		seen[p.name] = true
		ports = append(ports, p)
	}
	return ports, errors.Join(faults...)
}

func portOf(f reflect.StructField) (port, error) {
	tag, ok := f.Tag.Lookup("tdm")
	if !ok || !f.IsExported() {
		return port{}, errors.New(`ports are exported fields with a tag such as tdm:"name,shape=batch 3"`)
	}
	name, rest, _ := strings.Cut(tag, ",")
	p := port{name: name, doc: f.Tag.Get("doc"), offset: f.Offset}
	if !validName(name) {
		return p, errors.New("port " + quote(name) + " is not a name: " + nameRule)
	}
	if shape, ok := strings.CutPrefix(rest, "shape="); ok {
		p.hasShape, p.shape = true, strings.Fields(shape)
	} else if rest != "" {
		return p, errors.New("unknown option " + quote(rest) + ", want shape=...")
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		p.optional, t = true, t.Elem()
	}
	if p.codec = codecOf(t); p.codec == nil && t.Kind() == reflect.Slice {
		p.list, p.codec = true, codecOf(t.Elem())
		if p.codec != nil && p.codec.scalar {
			p.codec = nil
		}
	}
	if p.codec == nil {
		return p, errors.New(t.String() + " is no type for a port")
	}
	return p, p.checkShape()
}

func (p *port) checkShape() error {
	switch {
	case p.codec.scalar && p.hasShape:
		return errors.New("a plain number is a scalar and takes no shape")
	case p.hasShape && p.codec.kind != kindTensor:
		return errors.New("only tensors have a shape")
	case len(p.shape) > maxRank:
		return errors.New("more than 8 dimensions")
	}
	p.hasShape = p.hasShape || p.codec.scalar
	for _, d := range p.shape {
		if _, err := strconv.ParseUint(d, 10, 40); err != nil && d != "?" && !validName(d) {
			return errors.New("dimension " + quote(d) + ` is not a number, a name or "?"`)
		}
	}
	return nil
}

// codecOf returns how values of type t cross the border, nil if they do not.
func codecOf(t reflect.Type) *codec {
	switch t {
	case reflect.TypeFor[JSON]():
		return bytesCodec(kindJSON)
	case reflect.TypeFor[Image]():
		return bytesCodec(kindImage)
	case reflect.TypeFor[[]byte]():
		return bytesCodec(kindBytes)
	case reflect.TypeFor[string]():
		return &codec{kind: kindText, size: t.Size(), load: loadText, store: storeText, makeList: listOf[string]}
	case reflect.TypeFor[AnyTensor]():
		return &codec{kind: kindTensor, size: t.Size(), load: loadAny, store: storeAny, makeList: listOf[AnyTensor]}
	case reflect.TypeFor[Tensor[string]]():
		return &codec{
			kind: kindTensor, dtype: BYTES, size: t.Size(), load: loadStrings, store: storeStrings,
			makeList: listOf[Tensor[string]],
		}
	}
	if d := scalarDType(t); d != 0 {
		return &codec{kind: kindTensor, dtype: d, size: t.Size(), scalar: true, load: loadScalar, store: storeScalar}
	}
	d := tensorDType(t)
	if d == 0 {
		return nil
	}
	return &codec{kind: kindTensor, dtype: d, size: t.Size(), load: loadTensor, store: storeTensor, makeList: listOf[header]}
}

func bytesCodec(kind uint8) *codec {
	return &codec{
		kind: kind, size: unsafe.Sizeof([]byte(nil)), load: loadBytes, store: storeBytes, makeList: listOf[[]byte],
	}
}

func listOf[T any](n int) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(make([]T, n))) }

// scalarDType returns the element type of a bare number; named types other than the two half precisions do not count.
func scalarDType(t reflect.Type) DType {
	switch t {
	case reflect.TypeFor[Float16]():
		return FP16
	case reflect.TypeFor[BFloat16]():
		return BF16
	}
	if t.PkgPath() != "" {
		return 0
	}
	return kindDTypes[t.Kind()]
}

var kindDTypes = map[reflect.Kind]DType{
	reflect.Bool: BOOL, reflect.Int8: INT8, reflect.Int16: INT16, reflect.Int32: INT32, reflect.Int64: INT64,
	reflect.Uint8: UINT8, reflect.Uint16: UINT16, reflect.Uint32: UINT32, reflect.Uint64: UINT64,
	reflect.Float32: FP32, reflect.Float64: FP64,
}

// tensorDType returns the element type of Tensor[T], 0 when t is something else.
func tensorDType(t reflect.Type) DType {
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[AnyTensor]().PkgPath() ||
		!strings.HasPrefix(t.Name(), "Tensor[") {
		return 0
	}
	return scalarDType(t.Field(1).Type.Elem())
}
