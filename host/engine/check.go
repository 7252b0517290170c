package engine

import (
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/runners"
)

// checkValue reports whether v fits t and its contents are what its kind says. Names are bound in b; inside lists they
// are free, because items may differ in size.
func checkValue(t graph.Type, v value.Value, b graph.Bindings) *graph.Mismatch {
	if t.List > 0 {
		return checkList(t, v)
	}
	if err := t.Check(v.Kind, v.DType, v.Shape, b); err != nil {
		if m, ok := errors.AsType[*graph.Mismatch](err); ok {
			return m
		}
		return &graph.Mismatch{Expected: t.String(), Found: v.Describe(), Detail: err.Error()}
	}
	return nil
}

func checkList(t graph.Type, v value.Value) *graph.Mismatch {
	if v.Kind != abi.KindList {
		return &graph.Mismatch{Expected: t.String(), Found: v.Describe(), Detail: "a list is expected"}
	}
	t.List--
	for i := range v.Items {
		if m := checkValue(t, v.Items[i], nil); m != nil {
			return m
		}
	}
	return nil
}

// CheckContents reports the first thing inside v that is not what its kind says: a tensor whose data does not fit its
// shape, text that is not UTF-8, JSON that does not parse, a list of lists of different kinds. Values from outside must
// pass it before they become a request's input.
func CheckContents(v value.Value) error {
	switch v.Kind {
	case abi.KindTensor:
		t := tensorOf(v)
		if err := t.Check(); err != nil {
			return err
		}
		if v.DType == abi.BOOL {
			return checkBools(v.Data)
		}
	case abi.KindText:
		if !utf8.Valid(v.Data) {
			return errNotUTF8
		}
	case abi.KindJSON:
		if !json.Valid(v.Data) {
			return errNotJSON
		}
	case abi.KindList:
		return checkItems(v.Items)
	case abi.KindNone, abi.KindBytes, abi.KindImage:
	}
	return nil
}

var (
	errNotUTF8 = errors.New("text is not valid UTF-8")
	errNotJSON = errors.New("json is not one valid JSON document")
	errBool    = errors.New("a BOOL element is neither 0 nor 1")
	errMixed   = errors.New("the items of a list are of different kinds")
)

func checkBools(data []byte) error {
	for _, b := range data {
		if b > 1 {
			return errBool
		}
	}
	return nil
}

func checkItems(items []value.Value) error {
	for i := range items {
		if items[i].Kind != items[0].Kind {
			return errMixed
		}
		if err := CheckContents(items[i]); err != nil {
			return err
		}
	}
	return nil
}

// tensorOf returns v as a runner sees it; dtypes have the same numbers on both sides.
func tensorOf(v value.Value) runners.Tensor {
	return runners.Tensor{DType: runners.DType(v.DType), Shape: v.Shape, Data: v.Data}
}

// constant returns a constant of the plan as a value.
func constant(c *graph.Const) value.Value {
	v := value.Value{Kind: c.Kind, DType: c.DType, Shape: c.Shape, Data: c.Data}
	for i := range c.Items {
		v.Items = append(v.Items, constant(&c.Items[i]))
	}
	return v
}
