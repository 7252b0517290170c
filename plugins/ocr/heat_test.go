package ocr

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// heatOf draws a heat map: a digit is tenths, a dot is 0.
func heatOf(rows ...string) heatMap {
	m := heatMap{w: len(rows[0]), h: len(rows)}
	for _, row := range rows {
		for _, c := range row {
			v := float32(0)
			if c >= '0' && c <= '9' {
				v = float32(c-'0') / 10
			}
			m.data = append(m.data, v)
		}
	}
	return m
}

func (g *regions) sizes() []int {
	var out []int
	g.each(func(runs []run) bool {
		n := 0
		for _, r := range runs {
			n += int(r.to - r.from + 1)
		}
		out = append(out, n)
		return true
	})
	return out
}

func TestRegions(t *testing.T) {
	for _, c := range []struct {
		name string
		m    heatMap
		want []int
	}{
		{"nothing", heatOf("....", "...."), nil},
		{"below", heatOf("3333"), nil},
		{"one", heatOf("9999", "9..9"), []int{6}},
		{"two", heatOf("99.99", "99.99"), []int{4, 4}},
		{"corners touch", heatOf("99...", "..99.", "....9"), []int{5}},
		{"a bridge below", heatOf("9.9.9", "99999"), []int{8}},
		{"a bridge in the middle", heatOf("9...9", "9...9", ".999.", "9...9"), []int{9}},
		{"a ring with a dot in it", heatOf("99999", "9...9", "9.9.9", "9...9", "99999"), []int{16, 1}},
	} {
		if got := c.m.regions(0.3).sizes(); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestRegionsAgainstFloodFill compares with the obvious way.
func TestRegionsAgainstFloodFill(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(1, 12).Draw(rt, "w"), rapid.IntRange(1, 12).Draw(rt, "h")
		bits := rapid.SliceOfN(rapid.Bool(), w*h, w*h).Draw(rt, "bits")
		m := heatMap{w: w, h: h, data: make([]float32, w*h)}
		for i, b := range bits {
			if b {
				m.data[i] = 1
			}
		}
		got, want := m.regions(0.5).sizes(), floodSizes(bits, w, h)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

func floodSizes(bits []bool, w, h int) []int {
	bits = slices.Clone(bits)
	var fill func(x, y int) int
	fill = func(x, y int) int {
		if x < 0 || y < 0 || x >= w || y >= h || !bits[y*w+x] {
			return 0
		}
		bits[y*w+x] = false
		n := 1
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				n += fill(x+dx, y+dy)
			}
		}
		return n
	}
	var out []int
	for i := range bits {
		if n := fill(i%w, i/w); n > 0 {
			out = append(out, n)
		}
	}
	return out
}

func TestMean(t *testing.T) {
	m := heatOf("1111", "1991", "1991", "1111")
	for _, c := range []struct {
		q    quad
		want float64
	}{
		{quad{{1, 1}, {2, 1}, {2, 2}, {1, 2}}, 0.9},
		{quad{{0, 0}, {3, 0}, {3, 3}, {0, 3}}, 0.3},
		{quad{{-5, -5}, {9, -5}, {9, 9}, {-5, 9}}, 0.3},
		{quad{{7, 7}, {9, 7}, {9, 9}, {7, 9}}, 0},
		{quad{{1.5, 0.4}, {2.6, 1.5}, {1.5, 2.6}, {0.4, 1.5}}, 0.9},
	} {
		if got := m.mean(c.q); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v: got %v, want %v", c.q, got, c.want)
		}
	}
}

func TestBoxes(t *testing.T) {
	blank := strings.Repeat(".", 40)
	bar := strings.Repeat(".", 10) + strings.Repeat("9", 20) + strings.Repeat(".", 10)
	dim := strings.Repeat(".", 10) + strings.Repeat("4", 20) + strings.Repeat(".", 10)
	params := boxParams{threshold: 0.3, score: 0.6, unclip: 1.5, max: 10}
	m := heatOf(blank, blank, blank, bar, bar, bar, bar, bar, blank, blank, blank)
	got := m.boxes(params)
	if len(got) != 1 {
		t.Fatalf("got %d boxes, want 1", len(got))
	}
	// 19 by 4 between the outer pixels' centres; grown by 19*4*1.5/46 on each side.
	d := 19 * 4 * 1.5 / 46.0
	want := quad{{10 - d, 3 - d}, {29 + d, 3 - d}, {29 + d, 7 + d}, {10 - d, 7 + d}}
	for i, p := range got[0].corners() {
		if p.sub(want[i]).length() > 1e-6 {
			t.Errorf("corner %d: got %v, want %v", i, p, want[i])
		}
	}
	for name, m := range map[string]heatMap{
		"too dim":  heatOf(blank, dim, dim, dim, dim, dim, blank),
		"too thin": heatOf(blank, bar, bar, bar, blank),
		"nothing":  heatOf(blank, blank),
	} {
		if got := m.boxes(params); len(got) != 0 {
			t.Errorf("%s: got %v", name, got)
		}
	}
	params.max = 1
	if got := heatOf(bar, bar, bar, bar, bar, blank, bar, bar, bar, bar, bar).boxes(params); len(got) != 1 {
		t.Errorf("got %d boxes, want the maximum of 1", len(got))
	}
}

func TestPlaced(t *testing.T) {
	r := rect{centre: point{10, 10}, along: point{1, 0}, length: 24, width: 8}
	q, ok := r.placed(2, 3, 40, 100)
	if want := (quad{{0, 18}, {40, 18}, {40, 42}, {0, 42}}); !ok || q != want {
		t.Errorf("got %v, %v, want %v", q, ok, want)
	}
	if q, ok := r.placed(2, 3, 40, 20); ok {
		t.Errorf("only a strip of %v is inside", q)
	}
}
