/* Values of every kind, in and out. */
#include "tdm.h"

#define PORTS                                                              \
	"{\"name\":\"tensor\",\"kind\":\"tensor\",\"optional\":true},"     \
	"{\"name\":\"text\",\"kind\":\"text\",\"optional\":true},"         \
	"{\"name\":\"json\",\"kind\":\"json\",\"optional\":true},"         \
	"{\"name\":\"image\",\"kind\":\"image\",\"optional\":true},"       \
	"{\"name\":\"bytes\",\"kind\":\"bytes\",\"optional\":true},"       \
	"{\"name\":\"tensors\",\"kind\":\"tensor\",\"list\":true,\"optional\":true}," \
	"{\"name\":\"texts\",\"kind\":\"text\",\"list\":true,\"optional\":true},"     \
	"{\"name\":\"images\",\"kind\":\"image\",\"list\":true,\"optional\":true}"

DESCRIBE("{\"name\":\"values\",\"version\":\"1.0\",\"functions\":["
	"{\"name\":\"nothing\",\"inputs\":[],\"outputs\":[]},"
	"{\"name\":\"echo\",\"inputs\":[" PORTS "],\"outputs\":[" PORTS "]},"
	"{\"name\":\"copy\",\"inputs\":[" PORTS "],\"outputs\":[" PORTS "]},"
	"{\"name\":\"normalise\",\"inputs\":[{\"name\":\"x\",\"kind\":\"tensor\",\"dtype\":\"UINT8\",\"shape\":[\"h\",\"w\",3]}],"
	"\"outputs\":[{\"name\":\"y\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[\"h\",\"w\",3]}]},"
	"{\"name\":\"count\",\"inputs\":[],\"outputs\":[{\"name\":\"n\",\"kind\":\"tensor\",\"dtype\":\"INT64\",\"shape\":[]}]},"
	"{\"name\":\"dot\",\"inputs\":[{\"name\":\"a\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[\"n\"]},"
	"{\"name\":\"b\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[\"n\"]}],"
	"\"outputs\":[{\"name\":\"y\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[]}]},"
	"{\"name\":\"outcome\",\"inputs\":[{\"name\":\"n\",\"kind\":\"tensor\",\"dtype\":\"INT32\",\"shape\":[]}],"
	"\"outputs\":[{\"name\":\"y\",\"kind\":\"text\"}],\"outcomes\":{\"skip\":1,\"short\":2,\"own\":255}},"
	"{\"name\":\"names\",\"inputs\":[{\"name\":\"first\",\"kind\":\"text\",\"optional\":true},{\"name\":\"second_one\",\"kind\":\"text\",\"optional\":true}],"
	"\"outputs\":[{\"name\":\"third\",\"kind\":\"text\"}]},"
	"{\"name\":\"slots\",\"inputs\":[{\"name\":\"x\",\"kind\":\"bytes\",\"optional\":true}],\"outputs\":[{\"name\":\"dirty\",\"kind\":\"tensor\",\"dtype\":\"INT64\",\"shape\":[]}]}"
	"]}")

static int64_t calls;

static void copy_value(tdm_value *dst, const tdm_value *src) {
	tdm_value v = *src;
	v.name_ptr = v.name_len = 0;
	if (v.kind == LIST) {
		tdm_value *items = take(v.items * sizeof v, 32);
		for (uint32_t i = 0; i < v.items; i++) copy_value(&items[i], &((tdm_value *)src->data_ptr)[i]);
		v.data_ptr = (uint32_t)items;
	} else if (v.data_len) {
		void *p = take((uint32_t)v.data_len, 64);
		__builtin_memcpy(p, (void *)v.data_ptr, v.data_len);
		v.data_ptr = (uint32_t)p;
	}
	*dst = v;
}

/* Counts the bytes of the arena that the host did not write and that are not 0, then scribbles all over them. */
static int64_t dirty(tdm_request *r) {
	uint8_t *p = (uint8_t *)r + r->total_len;
	int64_t n = 0;
	for (uint32_t i = 0; i < 65536 - r->total_len; i++) {
		n += p[i] != 0;
		p[i] = 0xA5;
	}
	return n;
}

EXPORT("tdm1_run") int32_t tdm1_run(tdm_request *r) {
	tdm_value *in = in_of(r), *out = out_of(r);
	calls++;
	r->num_out = r->out_cap;
	switch (r->op) {
	case 0:
		return 0;
	case 1:
		for (uint32_t i = 0; i < r->num_in; i++) out[i] = in[i];
		return 0;
	case 2:
		for (uint32_t i = 0; i < r->num_in; i++) copy_value(&out[i], &in[i]);
		return 0;
	case 3: {
		const uint8_t *s = (const uint8_t *)in->data_ptr;
		float *d = (float *)out->data_ptr;
		if (!(out->flags & BOUND) || out->data_len != in->data_len * 4) return fail(r, "the output is not bound");
		for (uint32_t i = 0; i < (uint32_t)in->data_len; i++) d[i] = ((float)s[i] * (1.0f / 255.0f) - 0.485f) * (1.0f / 0.229f);
		out->kind = TENSOR;
		return 0;
	}
	case 4: {
		int64_t *p = take(8, 8);
		*p = calls;
		*out = (tdm_value){.kind = TENSOR, .dtype = INT64, .data_ptr = (uint32_t)p, .data_len = 8};
		return 0;
	}
	case 5: {
		const float *a = (const float *)in[0].data_ptr, *b = (const float *)in[1].data_ptr;
		float *y = (float *)out->data_ptr;
		*y = 0;
		for (int64_t i = 0; i < in[0].dims[0]; i++) *y += a[i] * b[i];
		out->kind = TENSOR;
		return 0;
	}
	case 6:
		r->num_out = 0;
		return *(int32_t *)in->data_ptr;
	case 7: { /* all names, joined by commas */
		char *p = take(256, 1);
		uint32_t n = 0;
		for (uint32_t i = 0; i < 3; i++) {
			tdm_value *v = i < 2 ? &in[i] : out;
			__builtin_memcpy(p + n, (void *)v->name_ptr, v->name_len);
			n += v->name_len;
			p[n++] = ',';
		}
		*out = (tdm_value){.kind = TEXT, .data_ptr = (uint32_t)p, .data_len = n - 1};
		return 0;
	}
	case 8: {
		int64_t *p = take(8, 8);
		*p = dirty(r);
		*out = (tdm_value){.kind = TENSOR, .dtype = INT64, .data_ptr = (uint32_t)p, .data_len = 8};
		return 0;
	}
	}
	return fail(r, "no such function");
}
