package batch

import (
	"fmt"
	"math"
	"strconv"

	"github.com/tandem-serve/tandem/runners"
)

// Apart returns why the requests to a model of this signature cannot be put together, "" when they can: every input and
// output has to have a first dimension of open size, of one name if it has a name.
func Apart(s runners.Signature) string {
	name := ""
	for _, side := range []struct {
		word  string
		ports []runners.Port
	}{{"input", s.Inputs}, {"output", s.Outputs}} {
		for _, p := range side.ports {
			switch {
			case p.JSON:
				return fmt.Sprintf("%s %q is a document", side.word, p.Name)
			case p.Dims == nil:
				return fmt.Sprintf("%s %q has an open number of dimensions", side.word, p.Name)
			case len(p.Dims) == 0:
				return fmt.Sprintf("%s %q has no batch dimension", side.word, p.Name)
			case p.Dims[0].Size >= 0:
				return fmt.Sprintf("%s %q has a batch dimension of fixed size %d", side.word, p.Name, p.Dims[0].Size)
			case side.word == "input" && name != "" && p.Dims[0].Name != "" && p.Dims[0].Name != name:
				return fmt.Sprintf("%s %q has the first dimension %s and another has %s", side.word, p.Name, p.Dims[0].Name, name)
			}
			if side.word == "input" && p.Dims[0].Name != "" {
				name = p.Dims[0].Name
			}
		}
	}
	if len(s.Inputs) == 0 || len(s.Outputs) == 0 {
		return "it lacks inputs or outputs"
	}
	return ""
}

// rowsOf returns the rows of a request that fits the signature of a model that can be batched.
func rowsOf(s runners.Signature, in []runners.Tensor) (int, error) {
	rows := in[0].Shape[0]
	for i := range in {
		if in[i].Shape[0] != rows {
			return 0, fmt.Errorf("input %q: %w: it has %d rows, input %q has %d", s.Inputs[i].Name, runners.ErrShape,
				in[i].Shape[0], s.Inputs[0].Name, rows)
		}
	}
	if rows > math.MaxInt32 {
		return 0, fmt.Errorf("input %q: %w: %d rows", s.Inputs[0].Name, runners.ErrShape, rows)
	}
	return int(rows), nil
}

// shapeOf names the shapes of in without the rows: requests with the same name can share a batch.
func shapeOf(in []runners.Tensor) string {
	var room [64]byte
	name := room[:0]
	for i := range in {
		if i > 0 {
			name = append(name, ' ')
		}
		if len(in[i].Shape) == 0 {
			continue
		}
		for d, size := range in[i].Shape[1:] {
			if d > 0 {
				name = append(name, 'x')
			}
			name = strconv.AppendInt(name, size, 10)
		}
	}
	return string(name)
}
