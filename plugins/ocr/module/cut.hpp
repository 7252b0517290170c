/* Lines, cut out of an image and made upright, in vectors. */
#ifndef OCR_CUT_HPP
#define OCR_CUT_HPP

#include "../../image/resample.h"
#include "geometry.hpp"

namespace ocr {

constexpr int line_height = 48, turn_width = 192;
constexpr int most_line_width = 80 * line_height; /* longer lines are squeezed */

/* Prepares resampling into the planes of a tensor of width columns, of which the first w are filled, blue first. */
inline rs_target target(float *data, int w, int h, int width, const double *mean, const double *std) {
	rs_target to = {};
	to.data = data, to.w = w, to.h = h, to.row = width, to.bgr = 1;
	for (int c = 0; c < 3; c++) {
		to.mul[c] = (float)(1 / (255 * std[c]));
		to.add[c] = (float)(-mean[c] / std[c]);
	}
	return to;
}

/* Work space of resampling, which is made once for images of one width: it need not be cleared. */
struct work_space {
	uint8_t *bytes = nullptr;
	uint32_t size = 0;

	uint8_t *of(int image_w, int w) {
		uint32_t need = rs_space(image_w, w);
		if (need > size) bytes = tdm::take<uint8_t>(need).data(), size = need;
		return bytes;
	}
};

/* Takes pixels from between those of an image, by cubic convolution. What lies outside of it repeats its border. */
struct sampler {
	static constexpr int places = 64; /* between two pixels that are told apart */
	static constexpr int outside = 4; /* pixels around an image; beyond them all is border */

	rs_image img;
	int16_t x[places][2][8]; /* weights of four neighbours, as pairs for each channel */
	int32_t y[places][4];

	explicit sampler(rs_image image) : img(image) {
		for (int i = 0; i < places; i++) {
			double w[4];
			rs_taps t = {};
			t.n = 4;
			rs_cubic((double)i / places, w);
			rs_weigh(&t, w, 1 << X_BITS);
			for (int ch = 0; ch < 4; ch++)
				for (int j = 0; j < 4; j++) x[i][j / 2][2 * ch + j % 2] = (int16_t)(ch < 3 ? t.weight[j] : 0);
			rs_weigh(&t, w, 1 << Y_BITS);
			for (int j = 0; j < 4; j++) y[i][j] = t.weight[j];
		}
	}
	/* Returns the pixel at or before v and sets the place after it; far outside of the image all places are alike. */
	static int split(double v, int size, int &place) {
		v = least(most(v, -outside), size + outside);
		double low = __builtin_floor(v);
		place = whole((v - low) * places + 0.5);
		int pixel = whole(low) + place / places;
		place &= places - 1;
		return pixel;
	}
	/* Writes the pixel at sx, sy, and one byte behind it. */
	void sample(uint8_t *to, double sx, double sy, vec p0, vec p1) const {
		int fx, fy, ix = split(sx, img.w, fx), iy = split(sy, img.h, fy);
		vec w0 = vec_load(x[fx][0]), w1 = vec_load(x[fx][1]), sum = vec_splat32(1 << (POINT + Y_BITS - 1));
		for (int j = 0; j < 4; j++) {
			const uint8_t *row = img.pixels + 3 * (size_t)rs_clamp(iy + j - 1, img.h) * (size_t)img.w;
			uint8_t border[16] = {};
			const uint8_t *from = row + 3 * (ix - 1);
			if (ix < 1 || ix + 5 > img.w) { /* the load would run over the row */
				for (int i = 0; i < 4; i++) __builtin_memcpy(border + 3 * i, row + 3 * rs_clamp(ix + i - 1, img.w), 3);
				from = border;
			}
			vec in = vec_load(from);
			vec across = vec_add32(vec_dot(vec_pick(in, p0), w0), vec_dot(vec_pick(in, p1), w1));
			sum = vec_add32(sum, vec_mul32(rs_rounded(across), vec_splat32(y[fy][j])));
		}
		vec byte = vec_min32(vec_max32(vec_shift32(sum, POINT + Y_BITS), vec_zero()), vec_splat32(255));
		to[0] = (uint8_t)wasm_i32x4_extract_lane(byte, 0);
		to[1] = (uint8_t)wasm_i32x4_extract_lane(byte, 1);
		to[2] = (uint8_t)wasm_i32x4_extract_lane(byte, 2);
	}
};

/* A part of an image that is read along x and down y from its origin. */
struct cut {
	point origin, x, y;

	/* The cut of a box. A box that is half again as high as wide holds a line that runs downwards, or one that runs upwards, which
	   the angle classifier then finds upside down. */
	static cut of(quad q) {
		double width = (q[1] - q[0]).length(), height = (q[3] - q[0]).length();
		if (height >= 1.5 * width) q = {{q[1], q[2], q[3], q[0]}};
		return {q[0], q[1] - q[0], q[3] - q[0]};
	}
	/* The beginning of the line, up to 8 times as long as high: what the angle classifier sees. */
	cut start() const {
		cut c = *this;
		double limit = 2 * turn_width / line_height * y.length();
		if (x.length() > limit) c.x = x.times(limit / x.length()).rounded();
		return c;
	}
	/* The width that keeps the proportions at line_height. */
	int line_width() const {
		int w = whole(__builtin_ceil(line_height * x.length() / y.length()));
		return w < 1 ? 1 : w > most_line_width ? most_line_width : w;
	}
	bool is_upright() const { return x.y == 0 && y.x == 0 && x.x >= 0 && y.y >= 0; }
	/* The cut in its own size. */
	rs_image straightened(rs_image img) const {
		int w = whole(x.length()), h = whole(y.length());
		w = w < 1 ? 1 : w, h = h < 1 ? 1 : h;
		point dx = x.times(1.0 / w), dy = y.times(1.0 / h);
		uint8_t *pixels = tdm::take<uint8_t>((size_t)w * (size_t)h * 3).data(), *to = pixels;
		sampler s(img);
		const vec p0 = rs_pair(0, 0), p1 = rs_pair(1, 0);
		for (int j = 0; j < h; j++) {
			double sx = origin.x + j * dy.x, sy = origin.y + j * dy.y;
			for (int i = 0; i < w; i++, to += 3) s.sample(to, sx + i * dx.x, sy + i * dx.y, p0, p1);
		}
		return {pixels, w, h};
	}
	/* Writes the cut to planes of width columns, of which it fills the first w; the rest is the value of grey. */
	void take(rs_image img, float *data, int w, int width, work_space &space) const {
		constexpr double half[] = {0.5, 0.5, 0.5};
		rs_target to = target(data, w, line_height, width, half, half);
		to.cubic = 1;
		rs_window window = {origin.x, origin.y, origin.x + x.x, origin.y + y.y};
		if (!is_upright()) {
			img = straightened(img);
			window = {0, 0, (double)img.w, (double)img.h};
		}
		for (int row = 0; w < width && row < 3 * line_height; row++) __builtin_memset(data + row * width + w, 0, 4 * (size_t)(width - w));
		rs_resample(img, window, &to, space.of(img.w, w));
	}
};

} // namespace ocr

#endif
