/* Arithmetic on vectors, free of the plugin around it, so that it is tested natively. */
#ifndef VECTOR_H
#define VECTOR_H

#include <stdint.h>

static inline void vector_add(float *sum, const float *a, const float *b, float scale, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) sum[i] = a[i] + scale * b[i];
}

static inline double vector_dot(const float *a, const float *b, uint32_t n) {
	double sum = 0;
	for (uint32_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
	return sum;
}

static inline double vector_length(const float *v, uint32_t n) { return __builtin_sqrt(vector_dot(v, v, n)); }

#endif
