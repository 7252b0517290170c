/* The image plugin's resampling, native: prints what the fastest twentieth takes at most, in microseconds, for 640x480 to 224x224, after the given milliseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resample.h"

enum { MOST = 100000 };

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
	double d = *(const double *)a - *(const double *)b;
	return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv) {
	static double took[MOST];
	const int w = 640, h = 480, side = 224;
	double until = now() + 1e3 * (argc > 1 ? atof(argv[1]) : 1000);
	uint8_t *pixels = calloc(1, 3 * w * h), *space = aligned_alloc(64, rs_round(rs_space(w, side)));
	rs_target to = {.data = malloc(4 * (3 * side * side + 4)), .w = side, .h = side, .mul = {1, 1, 1}};
	rs_window all = {0, 0, w, h};
	rs_image img = {pixels, w, h};
	int n = 0;
	if (!pixels || !space || !to.data) return 1;
	do {
		double began = now();
		rs_resample(img, all, &to, space);
		took[n++] = now() - began;
	} while (n < MOST && (n < 3 || now() < until));
	qsort(took, (size_t)n, sizeof took[0], ascending);
	printf("%.2f\n", took[n / 20]);
	return 0;
}
