/* A plugin in C: arithmetic on vectors. `make` in the folder above builds it. */
#include "../tandem.h"
#include "vector.h"

static int32_t add(tdm_call *c) {
	const tdm_value *a = tdm_in(c, 0), *b = tdm_in(c, 1);
	float *sum = (float *)tdm_out_tensor(c, 0, TDM_FP32, 1, a->dims);
	if (!sum) return tdm_no_memory(c);
	vector_add(sum, tdm_f32(a), tdm_f32(b), (float)tdm_config_number("scale", 1), tdm_count(a));
	return TDM_OK;
}

static int32_t dot(tdm_call *c) {
	const tdm_value *a = tdm_in(c, 0), *b = tdm_in(c, 1);
	float *product = (float *)tdm_out_tensor(c, 0, TDM_FP32, 0, NULL);
	if (!product) return tdm_no_memory(c);
	*product = (float)vector_dot(tdm_f32(a), tdm_f32(b), tdm_count(a));
	return TDM_OK;
}

static int32_t normalise(tdm_call *c) {
	const tdm_value *v = tdm_in(c, 0);
	const float *x = tdm_f32(v);
	uint32_t n = tdm_count(v);
	double length = vector_length(x, n);
	if (length == 0) return tdm_fail(c, "a vector of zeros has no direction");
	float *unit = (float *)tdm_out_tensor(c, 0, TDM_FP32, 1, v->dims);
	if (!unit) return tdm_no_memory(c);
	float by = (float)(1 / length);
	for (uint32_t i = 0; i < n; i++) unit[i] = x[i] * by;
	return TDM_OK;
}

#define TWO TDM_PORTS(TDM_TENSOR("a", "FP32", "\"n\""), TDM_TENSOR("b", "FP32", "\"n\""))
#define SCALE \
	TDM_WITH("{\"type\":\"object\",\"properties\":{\"scale\":{\"type\":\"number\",\"default\":1}},\"additionalProperties\":false}")

#define FUNCTIONS(F)                                                                                       \
	F(add, "a + scale * b", TWO, TDM_PORTS(TDM_TENSOR("sum", "FP32", "\"n\"")), SCALE)                     \
	F(dot, "the scalar product of a and b", TWO, TDM_PORTS(TDM_TENSOR("product", "FP32", "")), TDM_NO_WITH) \
	F(normalise, "v scaled to length 1", TDM_PORTS(TDM_TENSOR("v", "FP32", "\"n\"")),                      \
	  TDM_PORTS(TDM_TENSOR("unit", "FP32", "\"n\"")), TDM_NO_WITH)

TDM_PLUGIN("vector", "1.0.0", "Arithmetic on vectors.", FUNCTIONS)
