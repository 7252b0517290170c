/* The plugin ABI, version 1, by hand: what docs/plugin-abi.md says, for the test plugins in this folder. */
#ifndef TDM_H
#define TDM_H
#include <stdint.h>
#include <stddef.h>

typedef struct {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t total_len, op, num_in, in_ptr, out_cap, out_ptr, num_out, err_ptr, err_cap, err_len;
	uint64_t deadline_ns, request_id;
} tdm_request;

typedef struct {
	uint32_t name_ptr, name_len;
	uint8_t kind, dtype, rank, flags;
	uint32_t handle, data_ptr, items;
	uint64_t data_len;
	int64_t dims[8];
} tdm_value;

_Static_assert(sizeof(tdm_request) == 64, "request block");
_Static_assert(sizeof(tdm_value) == 96, "value descriptor");

enum { TENSOR = 1, BYTES_, TEXT, JSON, IMAGE, LIST };
enum { FP32 = 1, UINT8, INT8, UINT16, INT16, INT32, INT64, BYTES, BOOL, FP16, FP64, UINT32, UINT64, BF16 = 16 };
enum { READ_ONLY = 1, BOUND = 2, HOST_SIDE = 4, ABSENT = 16 };

#define EXPORT(n) __attribute__((export_name(n)))
#define IMPORT(n) __attribute__((import_module("tdm1"), import_name(n)))

extern uint8_t __heap_base;
static uint32_t heap;

/* A bump allocator that never frees: every call begins in the state of the snapshot. */
static void *take(uint32_t n, uint32_t align) {
	if (!heap) heap = (uint32_t)&__heap_base;
	uint32_t p = (heap + align - 1) & ~(align - 1), end = p + n, have = __builtin_wasm_memory_size(0) << 16;
	if (end < p) return 0;
	if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1) return 0;
	heap = end;
	return (void *)p;
}

EXPORT("tdm1_alloc") uint32_t tdm1_alloc(uint32_t n, uint32_t align) { return (uint32_t)take(n, align); }

#define DESCRIBE(json)                                                                                     \
	static const char description[] = json;                                                            \
	EXPORT("tdm1_describe") uint64_t tdm1_describe(void) {                                             \
		return (uint64_t)(uint32_t)description << 32 | (sizeof description - 1);                   \
	}

static inline tdm_value *in_of(tdm_request *r) { return (tdm_value *)r->in_ptr; }
static inline tdm_value *out_of(tdm_request *r) { return (tdm_value *)r->out_ptr; }

static uint32_t len_of(const char *s) {
	uint32_t n = 0;
	while (s[n]) n++;
	return n;
}

static inline int32_t fail(tdm_request *r, const char *text) {
	uint32_t n = len_of(text);
	if (n > r->err_cap) n = r->err_cap;
	__builtin_memcpy((void *)r->err_ptr, text, n);
	r->err_len = n;
	return -1;
}

#endif
