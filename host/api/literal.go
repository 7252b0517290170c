package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// literalFrom reads what somebody typed, or a file's content, as the type of the graph's input: text and JSON as they stand,
// images and bytes likewise, tensors as nested JSON lists, lists as a JSON array.
func literalFrom(t graph.Type, data []byte) (value.Value, error) {
	if t.List > 0 {
		return literalList(t, data)
	}
	switch t.Kind {
	case abi.KindImage:
		return value.Image(data, ""), nil
	case abi.KindBytes:
		return value.Bytes(data, ""), nil
	case abi.KindJSON:
		if !json.Valid(data) {
			return value.Value{}, errors.New("not a JSON document")
		}
		return value.JSON(data), nil
	case abi.KindTensor:
		return literalTensor(t, data)
	case abi.KindText, abi.KindNone, abi.KindList:
	}
	if !utf8.Valid(data) {
		return value.Value{}, errors.New("not UTF-8 text")
	}
	return value.Text(value.StringOf(data)), nil
}

// literalList reads a JSON array whose items are texts, documents, tensors or lists of those.
func literalList(t graph.Type, data []byte) (value.Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return value.Value{}, fmt.Errorf("want a JSON array: %w", err)
	}
	t.List--
	items := make([]value.Value, len(raw))
	for i, r := range raw {
		item := []byte(r)
		var s string
		if t.List == 0 && t.Kind == abi.KindText && json.Unmarshal(r, &s) == nil {
			item = []byte(s)
		}
		v, err := literalFrom(t, item)
		if err != nil {
			return value.Value{}, fmt.Errorf("item %d: %w", i, err)
		}
		items[i] = v
	}
	return value.List(items), nil
}

// literalTensor reads nested JSON lists. The shape is theirs, the element type the input's, FP32 when it leaves it open.
func literalTensor(t graph.Type, data []byte) (value.Value, error) {
	d := t.DType
	if d == abi.DTypeNone {
		d = abi.FP32
	}
	r := &literalReader{dec: json.NewDecoder(bytes.NewReader(data)), dtype: d, depth: -1, elements: &tandemv1.Elements{}}
	r.dec.UseNumber()
	if err := r.value(0); err != nil {
		return value.Value{}, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return value.Value{}, errors.New("there is more after the lists")
	}
	return tensorFrom(&tandemv1.Tensor{DataType: dataTypeOf[d], Shape: r.shape, Elements: r.elements})
}

// literalReader reads nested lists token by token, so that they take no more memory than the tensor.
type literalReader struct {
	dec      *json.Decoder
	dtype    abi.DType
	shape    []int64 // -1 where no list of the level has ended
	depth    int     // lists around each element; -1 before the first
	elements *tandemv1.Elements
}

var errRagged = errors.New("the lists are not nested equally deep")

// value reads an element, or a list, inside level lists.
func (r *literalReader) value(level int) error {
	tok, err := r.dec.Token()
	if err != nil {
		return fmt.Errorf("want nested JSON lists: %w", err)
	}
	if tok != json.Delim('[') {
		if (r.depth >= 0 && r.depth != level) || level != len(r.shape) {
			return errRagged
		}
		r.depth = level
		return r.element(tok)
	}
	switch {
	case level == r.depth:
		return errRagged
	case level == abi.MaxRank:
		return fmt.Errorf("lists are nested deeper than %d", abi.MaxRank)
	case level == len(r.shape):
		r.shape = append(r.shape, -1)
	}
	return r.list(level)
}

// list reads the items of a list whose bracket has been read.
func (r *literalReader) list(level int) error {
	n := int64(0)
	for r.dec.More() {
		if err := r.value(level + 1); err != nil {
			return err
		}
		n++
	}
	if _, err := r.dec.Token(); err != nil {
		return fmt.Errorf("want nested JSON lists: %w", err)
	}
	if r.shape[level] >= 0 && r.shape[level] != n {
		return fmt.Errorf("lists at level %d have %d and %d items", level, r.shape[level], n)
	}
	r.shape[level] = n
	return nil
}

func (r *literalReader) element(tok json.Token) error {
	e := r.elements
	switch x := tok.(type) {
	case bool:
		e.Bools = append(e.Bools, x)
	case string:
		e.Strings = append(e.Strings, x)
	case json.Number:
		switch r.dtype {
		case abi.FP16, abi.BF16, abi.FP32, abi.FP64:
			f, err := x.Float64()
			e.Floats = append(e.Floats, f)
			return err
		case abi.UINT64:
			var n uint64
			_, err := fmt.Sscan(x.String(), &n)
			e.Uints = append(e.Uints, n)
			return err
		default:
			n, err := x.Int64()
			e.Ints = append(e.Ints, n)
			return err
		}
	default:
		return fmt.Errorf("an element is neither number, text nor truth value: %s", strings.TrimSpace(fmt.Sprint(tok)))
	}
	return nil
}
