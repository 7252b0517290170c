package probe

import (
	"strconv"
	"strings"

	"github.com/tandem-serve/tandem/runners"
)

// typeOf writes a port's type as graphs do.
func typeOf(p runners.Port) string {
	switch {
	case p.JSON:
		return "json"
	case p.DType == runners.DTypeNone:
		return "not declared"
	case p.Dims == nil:
		return "tensor " + p.DType.String()
	}
	dims := make([]string, len(p.Dims))
	for i, d := range p.Dims {
		switch {
		case d.Size >= 0:
			dims[i] = strconv.FormatInt(d.Size, 10)
		case d.Name != "":
			dims[i] = d.Name
		default:
			dims[i] = "?"
		}
	}
	return "tensor " + p.DType.String() + " [" + strings.Join(dims, ",") + "]"
}

// dimName returns the name of an open dimension, or its index.
func dimName(d runners.Dim, index int) string {
	if d.Name != "" {
		return d.Name
	}
	return strconv.Itoa(index)
}
