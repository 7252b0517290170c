package ocr

import (
	"reflect"
	"testing"
)

func box(x, y, w, h float64) quad { return quad{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}} }

func TestRowsOf(t *testing.T) {
	for _, c := range []struct {
		name  string
		boxes []quad
		want  [][]int
	}{
		{"none", nil, nil},
		{"a column", []quad{box(0, 40, 50, 10), box(0, 0, 50, 10), box(0, 20, 50, 10)}, [][]int{{1}, {2}, {0}}},
		{"a table", []quad{box(60, 1, 50, 10), box(0, 0, 50, 10), box(60, 21, 50, 10), box(0, 22, 50, 10)}, [][]int{{1, 0}, {3, 2}}},
		{"large beside small", []quad{box(60, 2, 50, 10), box(0, 0, 50, 40), box(60, 22, 50, 10)}, [][]int{{0}, {1, 2}}},
		{"close lines overlap", []quad{box(0, 0, 50, 20), box(0, 9, 50, 20)}, [][]int{{0}, {1}}},
	} {
		if got := rowsOf(c.boxes); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
