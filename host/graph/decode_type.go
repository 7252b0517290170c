package graph

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// ParseType reads a type in its short form, as Type.String writes it: "image", "tensor FP32 [batch,3,h,w]", "list of text".
func ParseType(s string) (Type, error) {
	var t Type
	rest := strings.TrimSpace(s)
	for {
		inner, isList := cutWords(rest, "list", "of")
		if !isList {
			break
		}
		t.List++
		rest = inner
	}
	if t.List > MaxListDepth {
		return Type{}, fmt.Errorf("lists are nested deeper than %d", MaxListDepth)
	}
	word, tail, _ := strings.Cut(rest, " ")
	if i := strings.IndexByte(word, '['); i > 0 {
		word, tail = word[:i], rest[i:]
	}
	kind, err := parseKind(word)
	if err != nil {
		return Type{}, err
	}
	t.Kind = kind
	return t, parseTensor(&t, strings.TrimSpace(tail))
}

// cutWords removes leading words from s.
func cutWords(s string, words ...string) (rest string, ok bool) {
	for _, w := range words {
		after, found := strings.CutPrefix(s, w+" ")
		if !found {
			return s, false
		}
		s = strings.TrimLeft(after, " ")
	}
	return s, true
}

func kindWords() []string { return []string{"tensor", "text", "json", "image", "bytes"} }

func parseKind(word string) (abi.Kind, error) {
	kind, ok := abi.ParseKind(word)
	switch {
	case kind == abi.KindList:
		return 0, errors.New("a list says what it is a list of: \"list of text\"")
	case ok:
		return kind, nil
	case word == "string" || word == "str":
		return 0, fmt.Errorf("%s is no kind; text is called \"text\"", quote(word))
	}
	if d, ok := abi.ParseDType(word); ok {
		return 0, fmt.Errorf("%s is an element type; write \"tensor %s\"", quote(word), d)
	}
	return 0, fmt.Errorf("%s is no kind; %s", quote(word), suggestOr(word, kindWords(), "the kinds are "))
}

// parseTensor reads what follows the kind: an element type and a shape, both optional, for tensors only.
func parseTensor(t *Type, s string) error {
	if s == "" {
		return nil
	}
	if t.Kind != abi.KindTensor {
		return fmt.Errorf("there is more after %s: %s", t.Kind, quote(s))
	}
	if !strings.HasPrefix(s, "[") {
		word, tail := s, ""
		if i := strings.IndexAny(s, " ["); i >= 0 {
			word, tail = s[:i], strings.TrimSpace(s[i:])
		}
		d, err := parseDType(word)
		if err != nil {
			return err
		}
		t.DType, s = d, tail
	}
	if s == "" {
		return nil
	}
	body, ok := strings.CutPrefix(s, "[")
	body, ok2 := strings.CutSuffix(body, "]")
	if !ok || !ok2 {
		return fmt.Errorf("%s is no shape; a shape is written [1,3,h,w]", quote(s))
	}
	shape := []abi.Dim{}
	if strings.TrimSpace(body) != "" {
		for part := range strings.SplitSeq(body, ",") {
			d, err := parseDim(strings.TrimSpace(part))
			if err != nil {
				return err
			}
			shape = append(shape, d)
		}
	}
	t.Shape = shape
	return checkRank(shape)
}

func checkRank(shape []abi.Dim) error {
	if len(shape) > abi.MaxRank {
		return fmt.Errorf("the rank is %d, more than %d", len(shape), abi.MaxRank)
	}
	return nil
}

// dtypeNames are the element types under the names that other systems use.
var dtypeNames = map[string]abi.DType{
	"float": abi.FP32, "float32": abi.FP32, "f32": abi.FP32, "double": abi.FP64, "float64": abi.FP64, "f64": abi.FP64,
	"float16": abi.FP16, "half": abi.FP16, "f16": abi.FP16, "bfloat16": abi.BF16, "int": abi.INT64, "long": abi.INT64,
	"string": abi.BYTES, "str": abi.BYTES, "boolean": abi.BOOL, "byte": abi.UINT8, "u8": abi.UINT8, "i64": abi.INT64,
	"i32": abi.INT32,
}

func dtypeWords() []string {
	return []string{
		"BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "BF16", "FP32",
		"FP64", "BYTES",
	}
}

func parseDType(word string) (abi.DType, error) {
	if d, ok := abi.ParseDType(word); ok {
		return d, nil
	}
	if d, ok := abi.ParseDType(strings.ToUpper(word)); ok {
		return 0, fmt.Errorf("%s is no element type; did you mean %s?", quote(word), quote(d.String()))
	}
	if d, ok := dtypeNames[strings.ToLower(word)]; ok {
		return 0, fmt.Errorf("%s is no element type; did you mean %s?", quote(word), quote(d.String()))
	}
	return 0, fmt.Errorf("%s is no element type; %s", quote(word), suggestOr(word, dtypeWords(), "they are "))
}

var dimName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func parseDim(s string) (abi.Dim, error) {
	if s == "?" {
		return abi.Dim{Any: true}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return abi.Dim{Size: n}, nil
	}
	if dimName.MatchString(s) {
		return abi.Dim{Name: s}, nil
	}
	return abi.Dim{}, fmt.Errorf("%s is no dimension: it is a number from 0 on, a name, or ?", quote(s))
}

// inputType reads the type of an input with its default, optional and doc.
func (d *decoder) inputType(t *tree, in *Input) Type {
	if t.kind != treeMapping {
		return d.shortType(t)
	}
	keys, ok := d.entries(t, "an input", "type", "list", "dtype", "shape", "default", "optional", "doc")
	for _, k := range keys {
		switch k.key {
		case "default":
			in.Default = d.raw(k.value)
			in.defaultPos = k.value.pos
		case "optional":
			in.Optional = d.boolean(k.value, "optional")
		case "doc":
			in.Doc = d.str(k.value, "doc")
		}
	}
	return d.longType(t, keys, ok, 0)
}

func (d *decoder) shortType(t *tree) Type {
	s := d.str(t, "a type")
	if t.kind != treeString {
		return Type{}
	}
	typ, err := ParseType(s)
	if err != nil {
		d.add(faultf(CodeBadType, t.pos, "%s", err))
		return Type{}
	}
	return typ
}

// longType reads {type: ..., dtype: ..., shape: ...} or {list: ...}.
func (d *decoder) longType(t *tree, keys []pair, ok bool, depth int) Type {
	find := func(key string) *tree {
		for _, k := range keys {
			if k.key == key {
				return k.value
			}
		}
		return nil
	}
	base, list := find("type"), find("list")
	if (base == nil) == (list == nil) {
		if ok {
			d.add(faultf(CodeBadType, t.pos, "a type has one of the keys type and list").fix("for instance {type: text} or {list: text}"))
		}
		return Type{}
	}
	var typ Type
	if list != nil {
		typ = d.listType(list, depth)
	} else {
		typ = d.shortType(base)
	}
	d.tensorKeys(&typ, find("dtype"), find("shape"), list != nil)
	return typ
}

func (d *decoder) listType(t *tree, depth int) Type {
	if depth >= MaxListDepth {
		d.add(faultf(CodeBadType, t.pos, "lists are nested deeper than %d", MaxListDepth))
		return Type{}
	}
	var inner Type
	if t.kind == treeMapping {
		keys, ok := d.entries(t, "a type", "type", "list", "dtype", "shape")
		inner = d.longType(t, keys, ok, depth+1)
	} else {
		inner = d.shortType(t)
	}
	if inner.Kind == abi.KindNone {
		return Type{}
	}
	inner.List++
	if inner.List > MaxListDepth {
		d.add(faultf(CodeBadType, t.pos, "lists are nested deeper than %d", MaxListDepth))
		return Type{}
	}
	return inner
}

// tensorKeys adds dtype and shape to a type.
func (d *decoder) tensorKeys(typ *Type, dtype, shape *tree, list bool) {
	for _, k := range []*tree{dtype, shape} {
		if k != nil && typ.Kind != abi.KindNone && (list || typ.Kind != abi.KindTensor) {
			d.add(faultf(CodeBadType, k.pos, "only tensors have an element type and a shape").
				fix("a list of tensors is {list: {type: tensor, dtype: ..., shape: ...}}"))
			return
		}
	}
	if dtype != nil {
		if s := d.str(dtype, "dtype"); s != "" {
			var err error
			if typ.DType, err = parseDType(s); err != nil {
				d.add(faultf(CodeBadType, dtype.pos, "%s", err))
			}
		}
	}
	if shape != nil {
		typ.Shape = d.shape(shape)
	}
}

func (d *decoder) shape(t *tree) []abi.Dim {
	if t.kind != treeList {
		d.add(faultf(CodeBadType, t.pos, "a shape must be a list").between("a list such as [1, 3, h, w]", t.kind.String()))
		return nil
	}
	out := []abi.Dim{}
	for _, item := range t.items {
		if item.kind != treeString && item.kind != treeNumber {
			d.add(faultf(CodeBadType, item.pos, "a dimension is a number from 0 on, a name, or ?"))
			continue
		}
		dim, err := parseDim(item.text)
		if err != nil {
			d.add(faultf(CodeBadType, item.pos, "%s", err))
			continue
		}
		out = append(out, dim)
	}
	if err := checkRank(out); err != nil {
		d.add(faultf(CodeBadType, t.pos, "%s", err))
		return nil
	}
	return out
}
