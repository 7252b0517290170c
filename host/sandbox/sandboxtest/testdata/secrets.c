/* Hides a pattern wherever a plugin can write, after hunting for what an earlier call hid. */
#include "tdm.h"

DESCRIBE("{\"name\":\"secrets\",\"functions\":[{\"name\":\"hunt\",\"inputs\":["
	"{\"name\":\"mode\",\"kind\":\"tensor\",\"dtype\":\"INT32\",\"shape\":[]},"
	"{\"name\":\"secret\",\"kind\":\"bytes\",\"optional\":true}],"
	"\"outputs\":[{\"name\":\"found\",\"kind\":\"tensor\",\"dtype\":\"INT64\",\"shape\":[]}]}]}")

__asm__(".globaltype hidden, i64\n.globl hidden\nhidden:\n");

static uint64_t get_global(void) {
	uint64_t v;
	__asm__ volatile("global.get hidden\nlocal.set %0" : "=r"(v));
	return v;
}
static void set_global(uint64_t v) { __asm__ volatile("local.get %0\nglobal.set hidden" : : "r"(v)); }

static uint64_t statics[512];
static const uint64_t pattern_half = 0x5ec2e7a0; /* the whole pattern never stands in memory by itself */

__attribute__((noinline)) static void on_stack(uint64_t pattern) {
	volatile uint64_t a[1024];
	for (int i = 0; i < 1024; i++) a[i] = pattern;
}

static uint64_t end_of_memory(void) { return (uint64_t)__builtin_wasm_memory_size(0) << 16; }

/* mode: bit 0 grow first, bit 1 fill the arena from the error buffer on, bit 2 fill everything from the heap on, bit 3 trap at the end */
EXPORT("tdm1_run") int32_t tdm1_run(tdm_request *r) {
	uint64_t pattern = pattern_half << 32 | ~(uint32_t)pattern_half;
	tdm_value *in = in_of(r), *out = out_of(r);
	int32_t mode = *(int32_t *)in[0].data_ptr;
	uint32_t arena = (uint32_t)r, total = r->total_len;
	int64_t found = get_global() == pattern;
	for (uint64_t p = 8; p < end_of_memory(); p += 8)
		if (*(volatile uint64_t *)(uint32_t)p == pattern) found++;
	for (uint32_t p = arena + total + 7 & ~7u; p < arena + 65536; p += 8)
		if (*(volatile uint64_t *)p != 0) found++;

	set_global(pattern);
	for (int i = 0; i < 512; i++) statics[i] = pattern;
	on_stack(pattern);
	uint64_t *h = take(4096, 8);
	for (int i = 0; i < 512; i++) h[i] = pattern;
	if (mode & 1) {
		uint64_t p = end_of_memory();
		if (__builtin_wasm_memory_grow(0, 1) != (size_t)-1)
			for (; p < end_of_memory(); p += 8) *(uint64_t *)(uint32_t)p = pattern;
	}
	uint32_t used = arena + total + 7 & ~7u;
	if (mode & 2)
		for (uint32_t p = r->err_ptr; p < arena + 65536; p += 8) *(uint64_t *)p = pattern;
	else if (used < arena + 65536 - 16)
		*(uint64_t *)(arena + 65536 - 16) = pattern;
	if (mode & 4)
		for (uint64_t p = arena + 65536; p < end_of_memory(); p += 8) *(uint64_t *)(uint32_t)p = pattern;
	if (mode & 8) __builtin_trap();
	*(int64_t *)out->data_ptr = found;
	out->kind = TENSOR;
	r->num_out = 1;
	return 0;
}
