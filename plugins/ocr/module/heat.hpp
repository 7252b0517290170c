/* The detector's output, in vectors: which pixels are text, how they join to lines, and how sure the detector is of each. */
#ifndef OCR_HEAT_HPP
#define OCR_HEAT_HPP

#include <wasm_simd128.h>

#include "geometry.hpp"

namespace ocr {

/* A stretch of hot pixels in one row; to is the last one. */
struct run {
	int32_t y, from, to;
};

/* What counts as a line of text. */
struct box_settings {
	double threshold, score, unclip;
	uint32_t most;
};

/* For each pixel how likely it is text. */
struct heat_map {
	int w, h;
	const float *data;

	/* Returns the lines that the map shows, in its own coordinates. */
	tdm::span<rect> boxes(const box_settings &s) const;
	/* Returns the mean heat of the pixels whose centres lie in q, which is convex; 0 when there are none. */
	double mean(const quad &q) const;
};

/* Returns how many of the n pixels at row are not above threshold before the first that is. Most of a page is cold. */
inline int cold(const float *row, int n, float threshold) {
	const v128_t t = wasm_f32x4_splat(threshold);
	int i = 0;
	for (; i + 16 <= n; i += 16) {
		v128_t a = wasm_v128_or(wasm_f32x4_gt(wasm_v128_load(row + i + 12), t), wasm_f32x4_gt(wasm_v128_load(row + i + 8), t));
		v128_t b = wasm_v128_or(wasm_f32x4_gt(wasm_v128_load(row + i + 4), t), wasm_f32x4_gt(wasm_v128_load(row + i), t));
		if (wasm_v128_any_true(wasm_v128_or(a, b))) break;
	}
	while (i < n && !(row[i] > threshold)) i++;
	return i;
}

/* The sets of hot pixels that touch each other, corners included. */
struct regions {
	tdm::span<run> runs;
	tdm::span<int32_t> parent; /* of each run; a region is named by its first run */
	size_t n = 0;

	void add(run r) {
		if (n == runs.size()) {
			tdm::span<run> more = tdm::take<run>(2 * n + 1024);
			tdm::span<int32_t> parents = tdm::take<int32_t>(2 * n + 1024);
			if (n) {
				__builtin_memcpy(more.data(), runs.data(), n * sizeof(run));
				__builtin_memcpy(parents.data(), parent.data(), n * sizeof(int32_t));
			}
			runs = more, parent = parents;
		}
		parent[n] = (int32_t)n;
		runs[n++] = r;
	}
	int32_t find(int32_t i) {
		while (parent[i] != i) i = parent[i] = parent[parent[i]];
		return i;
	}
	/* Connects the runs from start on, of one row, with those of the row above, from above to start. */
	void join(size_t above, size_t start) {
		size_t i = above;
		for (size_t k = start; k < n; k++) {
			run r = runs[k];
			while (i < start && (runs[i].y < r.y - 1 || runs[i].to < r.from - 1)) i++;
			for (size_t j = i; j < start && runs[j].from <= r.to + 1; j++) {
				int32_t a = find((int32_t)j), b = find((int32_t)k);
				parent[a > b ? a : b] = a > b ? b : a;
			}
		}
	}
	/* Calls f with the runs of every region, top to bottom, in the order of the regions' first runs, until it returns false. */
	template <class F> void each(F f) {
		tdm::span<uint32_t> next = tdm::take<uint32_t>(n + 1);
		for (uint32_t &c : next) c = 0;
		for (size_t i = 0; i < n; i++) next[(size_t)find((int32_t)i) + 1]++;
		for (size_t i = 1; i <= n; i++) next[i] += next[i - 1];
		tdm::span<run> sorted = tdm::take<run>(n);
		for (size_t i = 0; i < n; i++) sorted[next[(size_t)find((int32_t)i)]++] = runs[i];
		uint32_t from = 0;
		for (size_t i = 0; i < n; i++) {
			if (next[i] <= from) continue;
			if (!f(sorted.first(next[i]).from(from))) return;
			from = next[i];
		}
	}
};

inline regions regions_of(const heat_map &m, float threshold) {
	regions g;
	size_t above = 0;
	for (int y = 0; y < m.h; y++) {
		size_t start = g.n;
		const float *row = m.data + (size_t)y * (size_t)m.w;
		for (int x = cold(row, m.w, threshold); x < m.w; x += cold(row + x, m.w - x, threshold)) {
			int from = x;
			while (x < m.w && row[x] > threshold) x++;
			g.add({y, from, x - 1});
		}
		g.join(above, start);
		above = start;
	}
	return g;
}

/* Returns the leftmost and rightmost pixel of each row of a region, sorted by y, then x; none when the region is less than
   side pixels across or high. */
inline tdm::span<point> outline(tdm::span<run> runs, int side) {
	int32_t left = INT32_MAX, right = -1;
	for (const run &r : runs) left = r.from < left ? r.from : left, right = r.to > right ? r.to : right;
	if (right - left < side || runs[runs.size() - 1].y - runs[0].y < side) return {};
	tdm::span<point> out = tdm::take<point>(2 * runs.size());
	size_t n = 0;
	for (size_t i = 0; i < runs.size();) {
		run r = runs[i];
		for (; i < runs.size() && runs[i].y == r.y; i++) {
			if (runs[i].from < r.from) r.from = runs[i].from;
			if (runs[i].to > r.to) r.to = runs[i].to;
		}
		out[n++] = {(double)r.from, (double)r.y};
		if (r.to > r.from) out[n++] = {(double)r.to, (double)r.y};
	}
	return out.first(n);
}

/* Where the line at height y enters and leaves q. */
inline void span_of(const quad &q, double y, double &left, double &right) {
	left = infinity, right = -infinity;
	for (int i = 0; i < 4; i++) {
		point p = q[i], r = q[(i + 1) & 3];
		if (least(p.y, r.y) > y || most(p.y, r.y) < y) continue;
		if (p.y == r.y) {
			left = least(left, least(p.x, r.x)), right = most(right, most(p.x, r.x));
			continue;
		}
		double x = p.x + (y - p.y) / (r.y - p.y) * (r.x - p.x);
		left = least(left, x), right = most(right, x);
	}
	constexpr double slack = 1e-6; /* an edge that runs through pixel centres takes them in */
	left -= slack, right += slack;
}

inline double heat_map::mean(const quad &q) const {
	int top = whole(__builtin_ceil(q.top())), bottom = whole(__builtin_floor(q.bottom()));
	double sum = 0;
	int64_t n = 0;
	for (int y = top < 0 ? 0 : top; y <= (bottom < h - 1 ? bottom : h - 1); y++) {
		double left, right;
		span_of(q, y, left, right);
		int from = whole(__builtin_ceil(left)), to = whole(__builtin_floor(right));
		if (from < 0) from = 0;
		if (to > w - 1) to = w - 1;
		if (from > to) continue;
		const float *p = data + (size_t)y * (size_t)w + from;
		v128_t two = wasm_f64x2_splat(0);
		int i = 0, count = to - from + 1;
		for (; i + 4 <= count; i += 4) {
			v128_t four = wasm_v128_load(p + i);
			two = wasm_f64x2_add(two, wasm_f64x2_promote_low_f32x4(four));
			two = wasm_f64x2_add(two, wasm_f64x2_promote_low_f32x4(wasm_i64x2_shuffle(four, four, 1, 1)));
		}
		sum += wasm_f64x2_extract_lane(two, 0) + wasm_f64x2_extract_lane(two, 1);
		for (; i < count; i++) sum += p[i];
		n += count;
	}
	return n ? sum / (double)n : 0;
}

inline tdm::span<rect> heat_map::boxes(const box_settings &s) const {
	constexpr int side = 3; /* pixels of the heat map */
	regions g = regions_of(*this, (float)s.threshold);
	tdm::span<rect> out = tdm::take<rect>(g.n < s.most ? g.n : s.most);
	size_t n = 0;
	g.each([&](tdm::span<run> runs) {
		tdm::span<point> points = outline(runs, side);
		if (points.empty()) return true;
		rect r = smallest_rect(hull(points));
		if (least(r.length, r.width) < side || !(mean(r.corners()) >= s.score)) return true; /* NaN is no score */
		out[n++] = r.grown(r.length * r.width * s.unclip / (2 * (r.length + r.width)));
		return n < s.most;
	});
	return out.first(n);
}

} // namespace ocr

#endif
