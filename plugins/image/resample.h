/*
 * Resamples 8-bit RGB images into normalised floats, in vectors. Numbers are those of plugins/internal/raster, to the last
 * bit before normalisation: along x weights add up to 1 << 11 and sums are rounded to 4 bits after the point; along y they
 * add up to 1 << 8.
 */
#ifndef TANDEM_IMAGE_RESAMPLE_H
#define TANDEM_IMAGE_RESAMPLE_H

#include <stdint.h>

#include "simd.h"

enum {
	X_BITS = 11, Y_BITS = 8, POINT = 4,
	MAX_FACTOR = 4,  /* up to which every source pixel counts when an axis shrinks */
	MAX_SAMPLES = 4, /* that are taken beyond it */
	MAX_TAPS = 5,    /* source positions of one destination */
	ROWS = 16,       /* source rows that are remembered */
	BATCH = 4,       /* source rows that are resampled along x together */
};

/* An image of w by h pixels, three bytes each. */
typedef struct { const uint8_t *pixels; int w, h; } rs_image;

/* The part of the image that is resampled. Its edges may lie between pixels and outside of the image. */
typedef struct { double x0, y0, x1, y1; } rs_window;

/*
 * Where pixels go: w by h, planar or interleaved. Channel c is byte*mul[c] + add[c]. Rows of a plane are row floats long, w when
 * that is 0. data needs 4 floats of room behind the last pixel. What is enlarged is cubic convolution or linear.
 */
typedef struct { float *data; int w, h, row, interleaved, bgr, cubic; float mul[3], add[3]; } rs_target;

/* One destination's source positions and their whole weights. */
typedef struct { int n; int32_t at[MAX_TAPS], weight[MAX_TAPS]; } rs_taps;

static inline int rs_clamp(int i, int size) { return i < 0 ? 0 : i >= size ? size - 1 : i; }

/* Sets whole weights that add up to one. */
static void rs_weigh(rs_taps *t, const double *w, int one) {
	int left = one, largest = 0;
	for (int j = 0; j < t->n; j++) {
		double v = w[j] * one;
		t->weight[j] = (int32_t)(v < 0 ? -__builtin_floor(0.5 - v) : __builtin_floor(v + 0.5));
		left -= t->weight[j];
		if (w[j] > w[largest]) largest = j;
	}
	t->weight[largest] += left;
}

/* Sets the weights of the positions -1, 0, 1 and 2 for a place between 0 and 1: cubic convolution with a = -0.75. */
static void rs_cubic(double frac, double *w) {
	const double a = -0.75, f = 1 + frac, g = 1 - frac;
	w[0] = ((a * f - 5 * a) * f + 8 * a) * f - 4 * a;
	w[1] = ((a + 2) * frac - (a + 3)) * frac * frac + 1;
	w[2] = ((a + 2) * g - (a + 3)) * g * g + 1;
	w[3] = 1 - w[0] - w[1] - w[2];
}

/* Returns the taps of destination i of n to which the span from..to is mapped. Positions may lie outside of the image. */
static rs_taps rs_axis(int i, int n, double from, double to, int one, int cubic) {
	rs_taps t = {0};
	double w[MAX_TAPS], step = (to - from) / n;
	if (step > MAX_FACTOR) { /* the mean of evenly spaced samples */
		t.n = MAX_SAMPLES;
		for (int j = 0; j < MAX_SAMPLES; j++) {
			t.at[j] = (int32_t)__builtin_floor(from + (i + (j + 0.5) / MAX_SAMPLES) * step);
			t.weight[j] = one / MAX_SAMPLES;
		}
		return t;
	}
	if (step > 1) { /* each position by how much of it lies in the destination */
		double low = from + i * step, high = from + (i + 1) * step;
		int first = (int)__builtin_floor(low);
		t.n = (int)__builtin_ceil(step) + 1;
		for (int j = 0; j < t.n; j++) {
			double end = first + j + 1 < high ? first + j + 1 : high, begin = first + j > low ? first + j : low;
			w[j] = end > begin ? (end - begin) / step : 0;
			t.at[j] = first + j;
		}
	} else if (step == 1 && from == __builtin_floor(from)) {
		t.n = 1;
		t.at[0] = (int32_t)from + i;
		w[0] = 1;
	} else if (cubic) {
		double x = from + (i + 0.5) * step - 0.5, low = __builtin_floor(x);
		t.n = 4;
		for (int j = 0; j < 4; j++) t.at[j] = (int32_t)low + j - 1;
		rs_cubic(x - low, w);
	} else { /* between the two nearest */
		double x = from + (i + 0.5) * step - 0.5, low = __builtin_floor(x);
		t.n = 2;
		t.at[0] = (int32_t)low;
		t.at[1] = (int32_t)low + 1;
		w[0] = 1 - (x - low);
		w[1] = x - low;
	}
	rs_weigh(&t, w, one);
	return t;
}

/* A destination column: where its pixels begin in a source row, and the weights of five pixels from there, as pairs. */
typedef struct { int16_t weight[3][8]; int32_t at, pad[3]; } rs_column;

/* Work space for one image; rs_space says how many bytes it needs. */
typedef struct {
	rs_column *columns;   /* w, rounded up to a multiple of 8 */
	rs_taps *samples;     /* w, where positions lie apart */
	int16_t *rows[ROWS];  /* 4 numbers a pixel */
	int row_of[ROWS];
	uint8_t *last;        /* the image's last row with room behind it */
	int stride;           /* pixels in rows */
} rs_work;

static inline uint32_t rs_round(uint32_t n) { return (n + 63) & ~63u; }

static inline uint32_t rs_space(int image_w, int w) {
	uint32_t stride = (uint32_t)(w + 7) & ~7u;
	return rs_round(stride * (uint32_t)sizeof(rs_column)) + rs_round((uint32_t)w * (uint32_t)sizeof(rs_taps)) +
	       ROWS * rs_round(stride * 8) + rs_round(3 * (uint32_t)image_w + 32);
}

/* Divides space, at a multiple of 64, up. */
static void rs_divide(rs_work *k, uint8_t *space, int w) {
	k->stride = (w + 7) & ~7;
	k->columns = (rs_column *)space;
	space += rs_round((uint32_t)k->stride * (uint32_t)sizeof(rs_column));
	k->samples = (rs_taps *)space;
	space += rs_round((uint32_t)w * (uint32_t)sizeof(rs_taps));
	for (int i = 0; i < ROWS; i++) {
		k->rows[i] = (int16_t *)space;
		k->row_of[i] = -1;
		space += rs_round((uint32_t)k->stride * 8);
	}
	k->last = space;
}

/* Puts the taps of a column, which lie side by side, into pairs. What lies outside of the image counts for its border. */
static void rs_set_column(rs_column *c, const rs_taps *t, int image_w) {
	int base = rs_clamp(t->at[0], image_w);
	int32_t weight[6] = {0};
	for (int j = 0; j < t->n; j++) weight[rs_clamp(t->at[j], image_w) - base] += t->weight[j];
	c->at = 3 * base;
	for (int p = 0; p < 3; p++)
		for (int ch = 0; ch < 4; ch++) {
			c->weight[p][2 * ch] = (int16_t)(ch < 3 ? weight[2 * p] : 0);
			c->weight[p][2 * ch + 1] = (int16_t)(ch < 3 ? weight[2 * p + 1] : 0);
		}
}

/* Returns which bytes of five pixels make up pair p: the same channel of two neighbours, as 16 bits each. */
static vec rs_pair(int p, int bgr) {
	uint8_t at[16];
	for (int i = 0; i < 16; i++) at[i] = 0x80;
	for (int ch = 0; ch < 3; ch++) {
		int from = bgr ? 2 - ch : ch;
		at[4 * ch] = (uint8_t)(6 * p + from);
		if (p < 2) at[4 * ch + 2] = (uint8_t)(6 * p + 3 + from);
	}
	return vec_load(at);
}

/* Rounds what the multiplication along y has no room for away. */
static inline vec rs_rounded(vec sum) {
	return vec_shift32(vec_add32(sum, vec_splat32(1 << (X_BITS - POINT - 1))), X_BITS - POINT);
}

/* Resamples BATCH source rows, whose pixels lie side by side, along x: what the columns say is looked up once for all of them. */
static inline __attribute__((always_inline)) void rs_squeeze_by(const rs_work *k, int16_t *const *out, const uint8_t *const *src,
                                                                int pairs, int bgr) {
	const vec p0 = rs_pair(0, bgr), p1 = rs_pair(1, bgr), p2 = rs_pair(2, bgr);
	int16_t *const to0 = out[0], *const to1 = out[1], *const to2 = out[2], *const to3 = out[3];
	const uint8_t *const from0 = src[0], *const from1 = src[1], *const from2 = src[2], *const from3 = src[3];
	for (int i = 0; i < k->stride; i += 2) {
		const rs_column *c = &k->columns[i];
		const int at = c[0].at, at2 = c[1].at;
		const vec w0 = vec_load(c[0].weight[0]), v0 = vec_load(c[1].weight[0]);
		vec w1 = w0, v1 = v0, w2 = w0, v2 = v0;
		if (pairs > 1) w1 = vec_load(c[0].weight[1]), v1 = vec_load(c[1].weight[1]);
		if (pairs > 2) w2 = vec_load(c[0].weight[2]), v2 = vec_load(c[1].weight[2]);
#define RS_ROW(from, to) do { \
		vec in = vec_load(from + at), in2 = vec_load(from + at2); \
		vec sum = vec_dot(vec_pick(in, p0), w0), sum2 = vec_dot(vec_pick(in2, p0), v0); \
		if (pairs > 1) { \
			sum = vec_add32(sum, vec_dot(vec_pick(in, p1), w1)); \
			sum2 = vec_add32(sum2, vec_dot(vec_pick(in2, p1), v1)); \
		} \
		if (pairs > 2) { \
			sum = vec_add32(sum, vec_dot(vec_pick(in, p2), w2)); \
			sum2 = vec_add32(sum2, vec_dot(vec_pick(in2, p2), v2)); \
		} \
		vec_store(to + 4 * i, vec_narrow32(rs_rounded(sum), rs_rounded(sum2))); \
	} while (0)
		RS_ROW(from0, to0);
		RS_ROW(from1, to1);
		RS_ROW(from2, to2);
		RS_ROW(from3, to3);
#undef RS_ROW
	}
}

static void rs_squeeze(const rs_work *k, int16_t *const *out, const uint8_t *const *src, int pairs, int bgr) {
	if (pairs == 1) rs_squeeze_by(k, out, src, 1, bgr);
	else if (pairs == 2) rs_squeeze_by(k, out, src, 2, bgr);
	else rs_squeeze_by(k, out, src, 3, bgr);
}

/* Resamples a source row along x whose positions lie apart. */
static void rs_sample(const rs_work *k, int16_t *out, const uint8_t *src, int w, int image_w, int bgr) {
	uint8_t pick[16];
	for (int i = 0; i < 16; i++) pick[i] = 0x80;
	for (int ch = 0; ch < 3; ch++) pick[4 * ch] = (uint8_t)(bgr ? 2 - ch : ch);
	const vec at = vec_load(pick);
	for (int i = 0; i < w; i++) {
		const rs_taps *t = &k->samples[i];
		vec sum = vec_zero();
		for (int j = 0; j < t->n; j++) {
			vec in = vec_pick(vec_load32(src + 3 * rs_clamp(t->at[j], image_w)), at);
			sum = vec_add32(sum, vec_mul32(in, vec_splat32(t->weight[j])));
		}
		vec_store64(out + 4 * i, vec_narrow32(rs_rounded(sum), sum));
	}
}

/* What rs_write needs to know of a target. */
typedef struct { fvec mul[3], add[3], mul4, add4; } rs_norm;

static inline rs_norm rs_norm_of(const rs_target *to) {
	rs_norm n;
	for (int c = 0; c < 3; c++) n.mul[c] = fvec_splat(to->mul[c]), n.add[c] = fvec_splat(to->add[c]);
	n.mul4 = fvec_set(to->mul[0], to->mul[1], to->mul[2], 0);
	n.add4 = fvec_set(to->add[0], to->add[1], to->add[2], 0);
	return n;
}

static inline vec rs_byte(vec sum) { return vec_shift32(sum, POINT + Y_BITS); }

static inline fvec rs_float(vec byte, fvec mul, fvec add) { return fvec_add(fvec_mul(fvec_of(byte), mul), add); }

/* Returns the channels of four pixels as bytes, pixel by pixel. Cubic convolution overshoots: this brings its bytes back. */
static inline vec rs_pack(vec s0, vec s1, vec s2, vec s3) {
	return vec_narrow16u(vec_narrow32(rs_byte(s0), rs_byte(s1)), vec_narrow32(rs_byte(s2), rs_byte(s3)));
}

/* Returns which bytes of four pixels make up channel c, as 32 bits each. */
static vec rs_channel(int c) {
	uint8_t at[16];
	for (int i = 0; i < 16; i++) at[i] = i % 4 ? 0x80 : (uint8_t)(i + c);
	return vec_load(at);
}

/*
 * Adds n pairs of rows with their weights and writes pixels to row y of the target, 8 at a time. Loads and stores go from
 * the highest address down: the first one shows the runtime that the others are within memory.
 */
static inline __attribute__((always_inline)) void rs_write_by(const rs_target *to, const rs_norm *norm, int y, int16_t *const *rows,
                                                              const int32_t *pairs, int n) {
	const vec half = vec_splat32(1 << (POINT + Y_BITS - 1));
	const vec w0 = vec_splat32(pairs[0]), w1 = vec_splat32(pairs[1]), w2 = vec_splat32(pairs[2]);
	const int16_t *const r0 = rows[0], *const r1 = rows[1], *const r2 = rows[2], *const r3 = rows[3], *const r4 = rows[4], *const r5 = rows[5];
	const uint32_t row = (uint32_t)(to->row ? to->row : to->w), plane = row * (uint32_t)to->h;
	float *out = to->data + (to->interleaved ? 3 : 1) * (uint32_t)y * row;
	const vec channel[3] = {rs_channel(0), rs_channel(1), rs_channel(2)};
	for (int x = 0; x < to->w; x += 8) {
		vec s0 = half, s1 = half, s2 = half, s3 = half, s4 = half, s5 = half, s6 = half, s7 = half;
#define RS_ADD(a, b, weight) do { \
		vec a3 = vec_load(a + 4 * x + 24), a2 = vec_load(a + 4 * x + 16), a1 = vec_load(a + 4 * x + 8), a0 = vec_load(a + 4 * x); \
		vec b3 = vec_load(b + 4 * x + 24), b2 = vec_load(b + 4 * x + 16), b1 = vec_load(b + 4 * x + 8), b0 = vec_load(b + 4 * x); \
		s0 = vec_add32(s0, vec_dot(vec_low16(a0, b0), weight)), s1 = vec_add32(s1, vec_dot(vec_high16(a0, b0), weight)); \
		s2 = vec_add32(s2, vec_dot(vec_low16(a1, b1), weight)), s3 = vec_add32(s3, vec_dot(vec_high16(a1, b1), weight)); \
		s4 = vec_add32(s4, vec_dot(vec_low16(a2, b2), weight)), s5 = vec_add32(s5, vec_dot(vec_high16(a2, b2), weight)); \
		s6 = vec_add32(s6, vec_dot(vec_low16(a3, b3), weight)), s7 = vec_add32(s7, vec_dot(vec_high16(a3, b3), weight)); \
	} while (0)
		RS_ADD(r0, r1, w0);
		if (n > 1) RS_ADD(r2, r3, w1);
		if (n > 2) RS_ADD(r4, r5, w2);
#undef RS_ADD
		const int left = to->w - x;
		if (to->interleaved) { /* each pixel's fourth number is overwritten by the next pixel */
			const vec s[8] = {s0, s1, s2, s3, s4, s5, s6, s7};
			for (int q = 0; q < 8 && q < left; q++) fvec_store(out + 3 * (x + q), rs_float(rs_byte(s[q]), norm->mul4, norm->add4));
			continue;
		}
		vec first = rs_pack(s0, s1, s2, s3), second = rs_pack(s4, s5, s6, s7);
		for (int c = 0; c < 3; c++) {
			float *at = out + (uint32_t)c * plane + x;
			fvec v4 = rs_float(vec_pick(second, channel[c]), norm->mul[c], norm->add[c]);
			fvec v = rs_float(vec_pick(first, channel[c]), norm->mul[c], norm->add[c]);
			if (left >= 8) {
				fvec_store(at + 4, v4);
				fvec_store(at, v);
				continue;
			}
			float rest[8];
			fvec_store(rest + 4, v4);
			fvec_store(rest, v);
			for (int q = 0; q < left; q++) at[q] = rest[q];
		}
	}
}

static void rs_write(const rs_target *to, const rs_norm *norm, int y, int16_t *const *rows, const int32_t *pairs, int n) {
	if (n == 1) rs_write_by(to, norm, y, rows, pairs, 1);
	else if (n == 2) rs_write_by(to, norm, y, rows, pairs, 2);
	else rs_write_by(to, norm, y, rows, pairs, 3);
}

/* Returns where source row y begins. Loads of 16 bytes run over the end of a row: in the last one into room that is ours. */
static const uint8_t *rs_source(const rs_work *k, rs_image img, int y) {
	return y >= img.h - 1 ? k->last : img.pixels + 3 * (uint32_t)y * (uint32_t)img.w;
}

/* Returns source row y resampled along x. Rows that follow it are likely to be wanted next. */
static int16_t *rs_row(rs_work *k, rs_image img, const rs_target *to, int y, int slot, int pairs) {
	if (k->row_of[slot] == y) return k->rows[slot];
	if (!pairs) {
		k->row_of[slot] = y;
		rs_sample(k, k->rows[slot], rs_source(k, img, y), to->w, img.w, to->bgr);
		return k->rows[slot];
	}
	int16_t *out[BATCH];
	const uint8_t *src[BATCH];
	for (int r = 0; r < BATCH; r++) {
		out[r] = k->rows[(slot + r) % ROWS];
		src[r] = rs_source(k, img, y + r);
		k->row_of[(slot + r) % ROWS] = y + r;
	}
	rs_squeeze(k, out, src, pairs, to->bgr);
	return k->rows[slot];
}

/* Resamples the window of img. space has rs_space(img.w, to->w) bytes at a multiple of 64. */
static void rs_resample(rs_image img, rs_window win, const rs_target *to, uint8_t *space) {
	rs_work k;
	rs_divide(&k, space, to->w);
	__builtin_memcpy(k.last, img.pixels + 3 * (uint32_t)(img.h - 1) * (uint32_t)img.w, 3 * (uint32_t)img.w);
	const rs_norm norm = rs_norm_of(to);
	int pairs = 0;
	for (int x = 0; x < to->w; x++) {
		rs_taps t = rs_axis(x, to->w, win.x0, win.x1, 1 << X_BITS, to->cubic);
		if ((win.x1 - win.x0) / to->w > MAX_FACTOR) {
			k.samples[x] = t;
			continue;
		}
		pairs = (t.n + 1) / 2;
		rs_set_column(&k.columns[x], &t, img.w);
	}
	for (int x = to->w; x < k.stride; x++) {
		rs_column none = {0};
		k.columns[x] = none;
	}
	for (int y = 0; y < to->h; y++) {
		rs_taps t = rs_axis(y, to->h, win.y0, win.y1, 1 << Y_BITS, to->cubic);
		int16_t *rows[MAX_TAPS + 1] = {0};
		int32_t weights[3] = {0};
		int n = 0, apart = (win.y1 - win.y0) / to->h > MAX_FACTOR;
		for (int j = 0; j < t.n; j++) {
			if (!t.weight[j]) continue;
			int from = rs_clamp(t.at[j], img.h);
			rows[n] = rs_row(&k, img, to, from, apart ? j * BATCH : from % ROWS, pairs);
			weights[n / 2] |= (t.weight[j] & 0xffff) << 16 * (n % 2);
			n++;
		}
		for (int j = n; j <= MAX_TAPS; j++) rows[j] = rows[0]; /* with weight 0 */
		rs_write(to, &norm, y, rows, weights, (n + 1) / 2);
	}
}

#endif
