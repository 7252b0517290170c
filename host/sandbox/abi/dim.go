package abi

import (
	"encoding/json"
	"errors"
	"strconv"
)

// Dim is one dimension of a declared shape: a size, a name, or any.
type Dim struct {
	// Size is the fixed size when Name is empty and Any is false.
	Size int64
	// Name is a symbol: equal wherever it stands in one signature.
	Name string
	// Any accepts every size and relates to nothing ("?").
	Any bool
}

var errDim = errors.New(`a dimension is a number from 0 on, a name, or "?"`)

// String returns the dimension as it is written: "3", "h" or "?".
func (d Dim) String() string {
	switch {
	case d.Any:
		return "?"
	case d.Name != "":
		return d.Name
	default:
		return strconv.FormatInt(d.Size, 10)
	}
}

// MarshalJSON writes a number for a size and a string otherwise.
func (d Dim) MarshalJSON() ([]byte, error) {
	if d.Any || d.Name != "" {
		return json.Marshal(d.String())
	}
	return json.Marshal(d.Size)
}

// UnmarshalJSON reads what MarshalJSON writes; a negative number means any, as in ONNX.
func (d *Dim) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		if s == "" {
			return errDim
		}
		*d = Dim{Name: s}
		if s == "?" {
			*d = Dim{Any: true}
		}
		return nil
	}
	var n int64
	if json.Unmarshal(b, &n) != nil {
		return errDim
	}
	*d = Dim{Size: n}
	if n < 0 {
		*d = Dim{Any: true}
	}
	return nil
}
