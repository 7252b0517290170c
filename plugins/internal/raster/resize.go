package raster

// The three channels of a pixel travel in one 64-bit word, 21 bits each, so that a multiplication weighs all of them: in
// a sandbox without vector instructions that is several times faster. Along x weights add up to 1<<xBits; the result is
// rounded to 4 bits after the point. Along y they add up to 1<<yBits. Cubic convolution overshoots by up to 115 on either
// side, so bias is added before and taken off by the table that normalises: (255+115+bias) << 12 just fits into 21 bits.
const (
	lane   = 21
	ones   = 1 | 1<<lane | 1<<(2*lane)
	xBits  = 11
	yBits  = 8
	point  = 4
	bias   = 128
	levels = 1 << (lane - point - yBits) // that a lane holds: 512
)

// Resize resamples the window of img into dst; what the window covers outside of img repeats its border. An image or
// destination without pixels leaves dst as it is.
func Resize(img RGB, win Window, dst Dst, k Kernel) {
	if img.W <= 0 || img.H <= 0 || dst.W <= 0 || dst.H <= 0 {
		return
	}
	r := newSqueezer(img, axis(dst.W, win.X0, win.X1, k, 1<<xBits), dst.W)
	rows := axis(dst.H, win.Y0, win.Y1, k, 1<<yBits)
	out := newWriter(dst)
	sum := make([]uint64, dst.W)
	for y := range dst.H {
		first := true
		for j, w := range rows.weight[y*rows.n:][:rows.n] {
			if w == 0 {
				continue
			}
			row := r.row(clamp(int(rows.at[y*rows.n+j]), img.H))
			if first {
				scale(sum, row, w)
			} else {
				blend(sum, row, w)
			}
			first = false
		}
		out.row(y, sum)
	}
}

func clamp(i, size int) int { return min(max(i, 0), size-1) }

// The loops below do four pixels a turn: Go's code for the sandbox goes through a table of jumps at the end of each.

// scale sets sum to row*weight.
func scale(sum, row []uint64, weight uint64) {
	for len(sum) >= 4 && len(row) >= 4 {
		sum[0] = row[0] * weight
		sum[1] = row[1] * weight
		sum[2] = row[2] * weight
		sum[3] = row[3] * weight
		sum, row = sum[4:], row[4:]
	}
	for i := range min(len(sum), len(row)) {
		sum[i] = row[i] * weight
	}
}

// blend adds row*weight to sum.
func blend(sum, row []uint64, weight uint64) {
	for len(sum) >= 4 && len(row) >= 4 {
		sum[0] += row[0] * weight
		sum[1] += row[1] * weight
		sum[2] += row[2] * weight
		sum[3] += row[3] * weight
		sum, row = sum[4:], row[4:]
	}
	for i := range min(len(sum), len(row)) {
		sum[i] += row[i] * weight
	}
}

// squeezer resamples source rows along x, and remembers the last few since neighbouring destination rows share them.
type squeezer struct {
	img         RGB
	first, last int // source columns that take part
	cols        taps
	packed      []uint64 // the source row, from column first on
	rows        [4]struct {
		y    int
		data []uint64
	}
}

func newSqueezer(img RGB, cols taps, width int) *squeezer {
	r := &squeezer{img: img, cols: cols, first: img.W}
	for i, a := range cols.at {
		a := clamp(int(a), img.W)
		cols.at[i] = int32(a)
		r.first, r.last = min(r.first, a), max(r.last, a)
	}
	for i := range cols.at {
		cols.at[i] -= int32(r.first)
	}
	r.packed = make([]uint64, r.last-r.first+1)
	for i := range r.rows {
		r.rows[i].y, r.rows[i].data = -1, make([]uint64, width)
	}
	return r
}

// row returns source row y resampled along x.
func (r *squeezer) row(y int) []uint64 {
	slot := &r.rows[y%len(r.rows)]
	if slot.y == y {
		return slot.data
	}
	slot.y = y
	from := y * r.img.W
	pack(r.packed, r.img.Pix[3*(from+r.first):3*(from+r.last)+3])
	switch r.cols.n {
	case 1:
		squeeze1(slot.data, r.packed, r.cols)
	case 2:
		squeeze2(slot.data, r.packed, r.cols)
	case 3:
		squeeze3(slot.data, r.packed, r.cols)
	case 4:
		squeeze4(slot.data, r.packed, r.cols)
	default:
		squeeze(slot.data, r.packed, r.cols)
	}
	return slot.data
}

// pack puts pixels into words.
func pack(out []uint64, src []uint8) {
	for len(out) >= 4 && len(src) >= 12 {
		out[0] = uint64(src[0]) | uint64(src[1])<<lane | uint64(src[2])<<(2*lane)
		out[1] = uint64(src[3]) | uint64(src[4])<<lane | uint64(src[5])<<(2*lane)
		out[2] = uint64(src[6]) | uint64(src[7])<<lane | uint64(src[8])<<(2*lane)
		out[3] = uint64(src[9]) | uint64(src[10])<<lane | uint64(src[11])<<(2*lane)
		out, src = out[4:], src[12:]
	}
	for i := range min(len(out), len(src)/3) {
		p := src[3*i:][:3]
		out[i] = uint64(p[0]) | uint64(p[1])<<lane | uint64(p[2])<<(2*lane)
	}
}

// rounded takes the bits away that the multiplication along y has no room for.
func rounded(sum uint64) uint64 {
	const (
		drop = xBits - point
		keep = (1<<(lane-drop) - 1) * ones
	)
	return (sum + (bias<<xBits+1<<(drop-1))*ones) >> drop & keep
}

func squeeze1(out, src []uint64, t taps) {
	at, w := t.at[:len(out)], t.weight[:len(out)]
	for i := range out {
		out[i] = rounded(src[at[i]] * w[i])
	}
}

func squeeze2(out, src []uint64, t taps) {
	at, w := t.at, t.weight
	for len(out) >= 2 && len(at) >= 4 && len(w) >= 4 {
		out[0] = rounded(src[at[0]]*w[0] + src[at[1]]*w[1])
		out[1] = rounded(src[at[2]]*w[2] + src[at[3]]*w[3])
		out, at, w = out[2:], at[4:], w[4:]
	}
	squeeze(out, src, taps{2, at, w})
}

func squeeze3(out, src []uint64, t taps) {
	at, w := t.at, t.weight
	for len(out) >= 2 && len(at) >= 6 && len(w) >= 6 {
		out[0] = rounded(src[at[0]]*w[0] + src[at[1]]*w[1] + src[at[2]]*w[2])
		out[1] = rounded(src[at[3]]*w[3] + src[at[4]]*w[4] + src[at[5]]*w[5])
		out, at, w = out[2:], at[6:], w[6:]
	}
	squeeze(out, src, taps{3, at, w})
}

func squeeze4(out, src []uint64, t taps) {
	at, w := t.at, t.weight
	for len(out) >= 2 && len(at) >= 8 && len(w) >= 8 {
		out[0] = rounded(src[at[0]]*w[0] + src[at[1]]*w[1] + src[at[2]]*w[2] + src[at[3]]*w[3])
		out[1] = rounded(src[at[4]]*w[4] + src[at[5]]*w[5] + src[at[6]]*w[6] + src[at[7]]*w[7])
		out, at, w = out[2:], at[8:], w[8:]
	}
	squeeze(out, src, taps{4, at, w})
}

func squeeze(out, src []uint64, t taps) {
	at, w := t.at, t.weight
	for i := range out {
		var sum uint64
		for j, a := range at[:t.n] {
			sum += src[a] * w[j]
		}
		out[i] = rounded(sum)
		at, w = at[t.n:], w[t.n:]
	}
}

// writer normalises rows of sums into a destination.
type writer struct {
	dst    Dst
	tables [3]*[levels]float32
}

func newWriter(dst Dst) *writer {
	w := &writer{dst: dst}
	for c, norm := range dst.Norm {
		w.tables[c] = new([levels]float32)
		for i := range w.tables[c] {
			w.tables[c][i] = norm[min(max(i-bias, 0), 255)]
		}
	}
	return w
}

// row writes row y.
func (w *writer) row(y int, sum []uint64) {
	for c, table := range w.tables {
		shift := lane * w.dst.Order[c]
		out := w.dst.Data[c*w.dst.Plane+y*w.dst.Row:]
		if w.dst.Step == 1 {
			normalise(out[:len(sum)], sum, table, shift)
			continue
		}
		for x, v := range sum {
			out[x*w.dst.Step] = table[level(v, shift)]
		}
	}
}

// level returns the number in the lane at shift, rounded, with the bias still in it.
func level(sum uint64, shift int) int {
	const drop = point + yBits
	return int((sum>>(shift&63) + 1<<(drop-1)) >> drop & (levels - 1))
}

func normalise(out []float32, sum []uint64, table *[levels]float32, shift int) {
	for len(out) >= 4 && len(sum) >= 4 {
		out[0] = table[level(sum[0], shift)]
		out[1] = table[level(sum[1], shift)]
		out[2] = table[level(sum[2], shift)]
		out[3] = table[level(sum[3], shift)]
		out, sum = out[4:], sum[4:]
	}
	for i := range min(len(out), len(sum)) {
		out[i] = table[level(sum[i], shift)]
	}
}
