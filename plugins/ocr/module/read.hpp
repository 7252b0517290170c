/* What the recogniser saw in a line, decoded in vectors. */
#ifndef OCR_READ_HPP
#define OCR_READ_HPP

#include <wasm_simd128.h>

#include "../../../sdk/c/tdm_json.hpp"

extern "C" const char ocr_keys[]; /* the list of characters, as a file */

namespace ocr {

constexpr int classes = 6625, keys_size = 26249;

/* The characters by class: 0 is the blank, then those of the list, one a line, then the space. */
struct characters {
	uint16_t begin[classes];
	uint8_t length[classes];

	void list() {
		begin[0] = 0, length[0] = 0;
		const char *p = ocr_keys;
		for (int i = 1; i < classes - 1; i++) {
			const char *first = p;
			while (p < ocr_keys + keys_size && *p != '\n') p++;
			begin[i] = (uint16_t)(first - ocr_keys);
			length[i] = (uint8_t)(p++ - first);
		}
	}
	tdm::string_view operator[](int i) const {
		return i == classes - 1 ? tdm::string_view(" ") : tdm::string_view(ocr_keys + begin[i], length[i]);
	}
};

/*
 * Returns the index of the largest of the probabilities p, which add up to 1: one above a half is the largest, so that most
 * steps, which are blanks or clear, are decided early. The first of equals wins; NaN never does.
 */
inline int likeliest(const float *p) {
	if (p[0] > 0.5f) return 0;
	const v128_t half = wasm_f32x4_splat(0.5f);
	v128_t top = wasm_f32x4_splat(-1);
	int i = 0;
	for (; i + 16 <= classes; i += 16) {
		v128_t d = wasm_v128_load(p + i + 12), c = wasm_v128_load(p + i + 8), b = wasm_v128_load(p + i + 4), a = wasm_v128_load(p + i);
		top = wasm_f32x4_pmax(wasm_f32x4_pmax(wasm_f32x4_pmax(wasm_f32x4_pmax(top, a), b), c), d);
		if (wasm_v128_any_true(wasm_f32x4_gt(top, half))) { /* in these sixteen */
			while (!(p[i] > 0.5f)) i++;
			return i;
		}
	}
	float best = -1;
	const float lanes[] = {wasm_f32x4_extract_lane(top, 0), wasm_f32x4_extract_lane(top, 1), wasm_f32x4_extract_lane(top, 2), wasm_f32x4_extract_lane(top, 3)};
	for (float v : lanes)
		if (v > best) best = v;
	for (; i < classes; i++)
		if (p[i] > best) best = p[i];
	if (!(best > -1)) return 0;
	const v128_t want = wasm_f32x4_splat(best);
	for (i = 0; i + 16 <= classes; i += 16) {
		v128_t c = wasm_v128_or(wasm_f32x4_eq(wasm_v128_load(p + i + 12), want), wasm_f32x4_eq(wasm_v128_load(p + i + 8), want));
		v128_t a = wasm_v128_or(wasm_f32x4_eq(wasm_v128_load(p + i + 4), want), wasm_f32x4_eq(wasm_v128_load(p + i), want));
		if (wasm_v128_any_true(wasm_v128_or(a, c))) break;
	}
	while (p[i] != best) i++;
	return i;
}

/* One line as it was read. */
struct line {
	tdm::string_view text;
	float confidence = 0;
};

/* Reads one line: the likeliest class of each step, repeats once, without blanks. The confidence is the mean of what was kept. */
inline line decode(const characters &all, tdm::span<const float> steps) {
	tdm::text text;
	float sum = 0;
	int kept = 0, last = 0;
	for (const float *p = steps.begin(); p + classes <= steps.end(); p += classes) {
		int best = likeliest(p);
		if (best != 0 && best != last) {
			text.add(all[best]);
			sum += p[best];
			kept++;
		}
		last = best;
	}
	if (!kept) return {};
	return {text.view(), sum / (float)kept};
}

} // namespace ocr

#endif
