/* Points, rectangles that may be turned, and the order in which boxes are read. The numbers are those of package ocr in Go. */
#ifndef OCR_GEOMETRY_HPP
#define OCR_GEOMETRY_HPP

#include "../../../sdk/c/tdm_types.hpp"

namespace ocr {

constexpr double infinity = __builtin_inf();

/* As Go has them: NaN if one is. */
inline double least(double a, double b) { return a != a || b != b ? a + b : a < b ? a : b; }
inline double most(double a, double b) { return a != a || b != b ? a + b : a > b ? a : b; }

/* Returns a number as an index; what is none, or far away, is far outside of any image. */
inline int whole(double v) { return v > -1e9 && v < 1e9 ? (int)v : v > 0 ? 1000000000 : -1000000000; }

/* Rounds halves away from zero. */
inline double rounded_away(double v) {
	double t = __builtin_trunc(v);
	return __builtin_fabs(v - t) >= 0.5 ? t + __builtin_copysign(1, v) : t;
}

inline double hypot(double p, double q) {
	p = __builtin_fabs(p), q = __builtin_fabs(q);
	if (p == infinity || q == infinity) return infinity;
	if (p != p || q != q) return p + q;
	if (p < q) {
		double swap = p;
		p = q, q = swap;
	}
	if (p == 0) return 0;
	q /= p;
	return p * __builtin_sqrt(1 + q * q);
}

struct point {
	double x = 0, y = 0;

	point operator-(point q) const { return {x - q.x, y - q.y}; }
	point operator+(point q) const { return {x + q.x, y + q.y}; }
	point times(double f) const { return {x * f, y * f}; }
	point scaled(double sx, double sy) const { return {x * sx, y * sy}; }
	double length() const { return hypot(x, y); }
	double cross(point q) const { return x * q.y - y * q.x; }
	double dot(point q) const { return x * q.x + y * q.y; }
	/* The nearest point of whole pixels. */
	point rounded() const { return {__builtin_nearbyint(x), __builtin_nearbyint(y)}; }
	point clipped(int w, int h) const { return {least(most(x, 0), w), least(most(y, 0), h)}; }
};

/* Four corners, clockwise from the top left. */
struct quad {
	point at[4];

	point &operator[](int i) { return at[i]; }
	const point &operator[](int i) const { return at[i]; }
	double middle() const { return (at[0].y + at[1].y + at[2].y + at[3].y) / 4; }
	double left() const { return least(least(at[0].x, at[1].x), least(at[2].x, at[3].x)); }
	double right() const { return most(most(at[0].x, at[1].x), most(at[2].x, at[3].x)); }
	double top() const { return least(least(at[0].y, at[1].y), least(at[2].y, at[3].y)); }
	double bottom() const { return most(most(at[0].y, at[1].y), most(at[2].y, at[3].y)); }
	/* Whether the sides are parallel to the axes, to within a pixel. */
	bool upright() const { return __builtin_fabs(at[1].y - at[0].y) < 1 && __builtin_fabs(at[3].x - at[0].x) < 1; }
};

/* Sorts a few: equals stay in their order. before(a, b) says whether a comes first. */
template <class T, class F> void sort(tdm::span<T> all, F before) {
	if (all.size() < 2) return;
	size_t half = all.size() / 2;
	if (half > 4) { /* else insertion is faster than merging */
		sort(all.first(half), before);
		sort(all.from(half), before);
		tdm::span<T> merged = tdm::take<T>(all.size());
		for (size_t i = 0, j = half, k = 0; k < all.size(); k++)
			merged[k] = j == all.size() || (i < half && !before(all[j], all[i])) ? all[i++] : all[j++];
		for (size_t k = 0; k < all.size(); k++) all[k] = merged[k];
		return;
	}
	for (size_t i = 1; i < all.size(); i++) {
		T v = all[i];
		size_t j = i;
		for (; j > 0 && before(v, all[j - 1]); j--) all[j] = all[j - 1];
		all[j] = v;
	}
}

/* A rectangle that may be turned: its centre, the direction of its length, of length 1, and both sides. */
struct rect {
	point centre, along;
	double length = 0, width = 0;

	/* Moves every side outwards by d. */
	rect grown(double d) const { return {centre, along, length + 2 * d, width + 2 * d}; }
	/* The corners clockwise from the one that is top left: of the two leftmost the upper one. */
	quad corners() const {
		point a = along.times(length / 2), b = point{-along.y, along.x}.times(width / 2);
		point p[4] = {centre - a - b, centre + a - b, centre + a + b, centre - a + b};
		sort(tdm::span<point>(p), [](point q, point r) { return q.x < r.x || (q.x == r.x && q.y < r.y); });
		int upper = p[0].y > p[1].y, right = p[2].y > p[3].y;
		return {{p[upper], p[2 + right], p[3 - right], p[1 - upper]}};
	}
	/* The box in an image of w by h pixels, which is sx and sy times as large as the heat map. Corners are clipped where the box
	   stands upright. False when too little of it is inside. */
	bool placed(double sx, double sy, int w, int h, quad &q) const {
		constexpr double least_side = 3;
		q = corners();
		for (point &p : q.at) p = p.scaled(sx, sy).rounded();
		if (q.upright())
			for (point &p : q.at) p = p.clipped(w, h);
		quad inside = q;
		for (point &p : inside.at) p = p.clipped(w, h);
		return least((inside[1] - inside[0]).length(), (inside[3] - inside[0]).length()) > least_side;
	}
};

/* Returns the convex hull of points that are sorted by y, then x, counter-clockwise, without the points on its edges. */
inline tdm::span<point> hull(tdm::span<point> sorted) {
	if (sorted.size() < 3) return sorted;
	tdm::span<point> out = tdm::take<point>(2 * sorted.size());
	size_t n = 0;
	auto chain = [&](point p, size_t low) {
		while (n >= low + 2 && (out[n - 1] - out[n - 2]).cross(p - out[n - 1]) <= 0) n--;
		out[n++] = p;
	};
	for (point p : sorted) chain(p, 0);
	size_t low = n - 1;
	for (size_t i = sorted.size() - 1; i-- > 0;) chain(sorted[i], low);
	return out.first(n - 1);
}

/* Returns the rectangle around a hull that lies along u. */
inline rect rect_along(tdm::span<point> hull, point u) {
	point v{-u.y, u.x};
	double min_u = infinity, max_u = -infinity, min_v = infinity, max_v = -infinity;
	for (point p : hull) {
		double a = p.dot(u), b = p.dot(v);
		min_u = least(min_u, a), max_u = most(max_u, a);
		min_v = least(min_v, b), max_v = most(max_v, b);
	}
	return {u.times((min_u + max_u) / 2) + v.times((min_v + max_v) / 2), u, max_u - min_u, max_v - min_v};
}

/* Returns the rectangle of least area around a convex hull. One of its sides lies on an edge of the hull. */
inline rect smallest_rect(tdm::span<point> hull) {
	if (hull.size() == 1) return {hull[0], {1, 0}, 0, 0};
	rect best{};
	double area = infinity;
	for (size_t i = 0; i < hull.size(); i++) {
		point edge = hull[i + 1 == hull.size() ? 0 : i + 1] - hull[i];
		double l = edge.length();
		if (l == 0) continue;
		rect r = rect_along(hull, edge.times(1 / l));
		if (r.length * r.width < area) best = r, area = r.length * r.width;
	}
	return best;
}

/* Boxes row by row from the top, each row from the left: order holds their indices, and row r ends before order[ends[r]]. */
struct rows {
	tdm::span<uint32_t> order, ends;
};

/* Whether box i stands beside the boxes of a row. */
inline bool joins(tdm::span<const quad> boxes, uint32_t i, tdm::span<const uint32_t> row) {
	const quad &q = boxes[i], &first = boxes[row[0]];
	double m = q.middle();
	if (m <= first.top() || m >= first.bottom()) return false;
	for (uint32_t k : row)
		if (q.left() < boxes[k].right() && boxes[k].left() < q.right()) return false;
	return true;
}

/* Returns the rows of boxes. A box belongs to the row above it when its middle is between top and bottom of that row's first box
   and nothing of the row is above or below it. */
inline rows rows_of(tdm::span<const quad> boxes) {
	rows out{tdm::take<uint32_t>(boxes.size()), tdm::take<uint32_t>(boxes.size())};
	for (uint32_t i = 0; i < boxes.size(); i++) out.order[i] = i;
	sort(out.order, [&](uint32_t a, uint32_t b) { return boxes[a].middle() < boxes[b].middle(); });
	size_t n = 0, begin = 0;
	for (uint32_t i = 0; i < boxes.size(); i++) {
		if (n == 0 || !joins(boxes, out.order[i], out.order.first(i).from(begin))) begin = i, n++;
		out.ends[n - 1] = i + 1;
	}
	out.ends = out.ends.first(n);
	for (size_t r = 0, from = 0; r < n; from = out.ends[r++])
		sort(out.order.first(out.ends[r]).from(from), [&](uint32_t a, uint32_t b) { return boxes[a].left() < boxes[b].left(); });
	return out;
}

} // namespace ocr

#endif
