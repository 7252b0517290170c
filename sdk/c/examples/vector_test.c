/* Tests the arithmetic of vector.c natively: `make test` in the folder above. Keep what is worth testing in functions of
 * pointers and sizes, in a header of its own. */
#include <assert.h>
#include <math.h>
#include "vector.h"

int main(void) {
	const float a[] = {3, 4}, b[] = {1, 0.5f};
	float sum[2];
	vector_add(sum, a, b, 2, 2);
	assert(sum[0] == 5 && sum[1] == 5);
	assert(vector_dot(a, b, 2) == 5);
	assert(fabs(vector_length(a, 2) - 5) < 1e-6);
	assert(vector_length(a, 0) == 0);
	return 0;
}
