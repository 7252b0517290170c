/*
 * The few vector operations that resampling needs, on 128 bits: as WebAssembly, and as SSE4.1 so that the same code can be
 * timed natively.
 */
#ifndef TANDEM_IMAGE_SIMD_H
#define TANDEM_IMAGE_SIMD_H

#ifdef __wasm__
#include <wasm_simd128.h>

typedef v128_t vec;
typedef v128_t fvec;

#define vec_load(p) wasm_v128_load(p)
#define vec_load32(p) wasm_v128_load32_zero(p)
#define vec_store(p, v) wasm_v128_store(p, v)
#define vec_store64(p, v) wasm_v128_store64_lane(p, v, 0)
#define vec_zero() wasm_i64x2_splat(0)
#define vec_splat32(n) wasm_i32x4_splat(n)
#define vec_pick(v, at) wasm_i8x16_swizzle(v, at)        /* bytes of v; 0 where at has its highest bit */
#define vec_dot(a, b) wasm_i32x4_dot_i16x8(a, b)         /* products of 16 bits, neighbours added */
#define vec_add32(a, b) wasm_i32x4_add(a, b)
#define vec_mul32(a, b) wasm_i32x4_mul(a, b)
#define vec_min32(a, b) wasm_i32x4_min(a, b)
#define vec_max32(a, b) wasm_i32x4_max(a, b)
#define vec_shift32(v, n) wasm_i32x4_shr(v, n)
#define vec_narrow32(a, b) wasm_i16x8_narrow_i32x4(a, b) /* two times 4 numbers of 32 bits to 8 of 16 */
#define vec_narrow16u(a, b) wasm_u8x16_narrow_i16x8(a, b) /* two times 8 numbers of 16 bits to 16 bytes, from 0 to 255 */
#define vec_low16(a, b) wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define vec_high16(a, b) wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define fvec_of(v) wasm_f32x4_convert_i32x4(v)
#define fvec_splat(x) wasm_f32x4_splat(x)
#define fvec_set(a, b, c, d) wasm_f32x4_make(a, b, c, d)
#define fvec_mul(a, b) wasm_f32x4_mul(a, b)
#define fvec_add(a, b) wasm_f32x4_add(a, b)
#define fvec_store(p, v) wasm_v128_store(p, v)

#else
#include <smmintrin.h>
#include <string.h>

typedef __m128i vec;
typedef __m128 fvec;

static inline vec vec_load32(const void *p) {
	int n;
	memcpy(&n, p, 4);
	return _mm_cvtsi32_si128(n);
}
#define vec_load(p) _mm_loadu_si128((const __m128i *)(p))
#define vec_store(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define vec_store64(p, v) _mm_storel_epi64((__m128i *)(p), v)
#define vec_zero() _mm_setzero_si128()
#define vec_splat32(n) _mm_set1_epi32(n)
#define vec_pick(v, at) _mm_shuffle_epi8(v, at)
#define vec_dot(a, b) _mm_madd_epi16(a, b)
#define vec_add32(a, b) _mm_add_epi32(a, b)
#define vec_mul32(a, b) _mm_mullo_epi32(a, b)
#define vec_min32(a, b) _mm_min_epi32(a, b)
#define vec_max32(a, b) _mm_max_epi32(a, b)
#define vec_shift32(v, n) _mm_srai_epi32(v, n)
#define vec_narrow32(a, b) _mm_packs_epi32(a, b)
#define vec_narrow16u(a, b) _mm_packus_epi16(a, b)
#define vec_low16(a, b) _mm_unpacklo_epi16(a, b)
#define vec_high16(a, b) _mm_unpackhi_epi16(a, b)
#define fvec_of(v) _mm_cvtepi32_ps(v)
#define fvec_splat(x) _mm_set1_ps(x)
#define fvec_set(a, b, c, d) _mm_setr_ps(a, b, c, d)
#define fvec_mul(a, b) _mm_mul_ps(a, b)
#define fvec_add(a, b) _mm_add_ps(a, b)
#define fvec_store(p, v) _mm_storeu_ps(p, v)
#endif

#endif
