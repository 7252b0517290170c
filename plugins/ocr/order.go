package ocr

import (
	"cmp"
	"slices"
)

// rowsOf returns the indices of boxes row by row from the top, each row from the left. A box belongs to the row above
// it when its middle is between top and bottom of that row's first box and nothing of the row is above or below it.
func rowsOf(boxes []quad) [][]int {
	index := make([]int, len(boxes))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int { return cmp.Compare(boxes[a].middle(), boxes[b].middle()) })
	var rows [][]int
	for _, i := range index {
		if n := len(rows); n > 0 && boxes[i].joins(boxes, rows[n-1]) {
			rows[n-1] = append(rows[n-1], i)
		} else {
			rows = append(rows, []int{i})
		}
	}
	for _, row := range rows {
		slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(boxes[a].left(), boxes[b].left()) })
	}
	return rows
}

// joins reports whether q stands beside the boxes of row.
func (q quad) joins(boxes []quad, row []int) bool {
	first := boxes[row[0]]
	if m := q.middle(); m <= first.top() || m >= first.bottom() {
		return false
	}
	for _, i := range row {
		if q.left() < boxes[i].right() && boxes[i].left() < q.right() {
			return false
		}
	}
	return true
}

func (q quad) middle() float64 { return (q[0].y + q[1].y + q[2].y + q[3].y) / 4 }
func (q quad) left() float64   { return min(q[0].x, q[1].x, q[2].x, q[3].x) }
func (q quad) right() float64  { return max(q[0].x, q[1].x, q[2].x, q[3].x) }
func (q quad) top() float64    { return min(q[0].y, q[1].y, q[2].y, q[3].y) }
func (q quad) bottom() float64 { return max(q[0].y, q[1].y, q[2].y, q[3].y) }
