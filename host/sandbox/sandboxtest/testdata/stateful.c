/* A plugin that keeps its state between calls. */
#include "tdm.h"

#define N(name) "{\"name\":\"" name "\",\"kind\":\"tensor\",\"dtype\":\"INT64\",\"shape\":[]}"

DESCRIBE("{\"name\":\"stateful\",\"stateful\":true,\"functions\":["
	"{\"name\":\"count\",\"inputs\":[{\"name\":\"x\",\"kind\":\"bytes\",\"optional\":true}],\"outputs\":[" N("n") "," N("dirty") "],"
	"\"with\":{\"type\":\"object\"}},"
	"{\"name\":\"trap\",\"inputs\":[],\"outputs\":[]}]}")

static int64_t calls;

EXPORT("tdm1_run") int32_t tdm1_run(tdm_request *r) {
	if (r->op == 1) __builtin_trap();
	tdm_value *out = out_of(r);
	int64_t dirty = 0;
	uint8_t *p = (uint8_t *)r + r->total_len;
	for (uint32_t i = 0; i < 65536; i++) {
		dirty += p[i] != 0;
		p[i] = 0xA5;
	}
	*(int64_t *)out[0].data_ptr = ++calls;
	*(int64_t *)out[1].data_ptr = dirty;
	out[0].kind = out[1].kind = TENSOR;
	r->num_out = 2;
	return 0;
}
