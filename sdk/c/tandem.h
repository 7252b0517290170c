/*
 * tandem.h - write a Tandem plugin in C or C++, without a C library.
 *
 *   #include "tandem.h"
 *
 *   static int32_t twice(tdm_call *c) {
 *       const tdm_value *x = tdm_in(c, 0);
 *       float *y = (float *)tdm_out_tensor(c, 0, TDM_FP32, x->rank, x->dims);
 *       if (!y) return tdm_no_memory(c);
 *       for (uint32_t i = 0; i < tdm_count(x); i++) y[i] = 2 * tdm_f32(x)[i];
 *       return TDM_OK;
 *   }
 *
 *   #define FUNCTIONS(F) \
 *       F(twice, "doubles", TDM_PORTS(TDM_TENSOR("x", "FP32", "\"n\"")), TDM_PORTS(TDM_TENSOR("y", "FP32", "\"n\"")), TDM_NO_WITH)
 *   TDM_PLUGIN("double", "1.0.0", "Doubles numbers.", FUNCTIONS)
 *
 * Compile and link in two steps:
 *
 *   clang --target=wasm32 -O3 -mbulk-memory -msimd128 -nostdlib -c double.c
 *   wasm-ld --no-entry --strip-all double.o -o double.wasm
 *
 * Include it in one file only: it defines the module's exports. The layout is ABI version 1 (docs/plugin-abi.md of the
 * server's repository). Everything is little-endian, pointers are 32 bits, and one instance runs one call at a time.
 */
#ifndef TANDEM_H
#define TANDEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define TDM_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define TDM_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define TDM_EXPORT(name) __attribute__((export_name(name)))
#define TDM_IMPORT(name) __attribute__((import_module("tdm1"), import_name(name)))

/* ---- layout ------------------------------------------------------------------------------------------------------ */

/* The block that one call starts from. Addresses are absolute. */
typedef struct tdm_request {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t total_len, op, num_in, in_ptr, out_cap, out_ptr;
	uint32_t num_out, err_ptr, err_cap, err_len; /* num_out and err_len are the plugin's to write */
	uint64_t deadline_ns; /* time left at entry, 0 for no limit */
	uint64_t request_id;
} tdm_request;

/* One value. */
typedef struct tdm_value {
	uint32_t name_ptr, name_len;
	uint8_t kind;  /* TDM_TENSOR_KIND and so on */
	uint8_t dtype; /* of a tensor, TDM_FP32 and so on */
	uint8_t rank;
	uint8_t flags;
	uint32_t handle;
	uint32_t data_ptr;
	uint32_t items; /* of a list */
	uint64_t data_len; /* bytes */
	int64_t dims[8];
} tdm_value;

TDM_STATIC_ASSERT(sizeof(tdm_request) == 64, "the request block has 64 bytes");
TDM_STATIC_ASSERT(sizeof(tdm_value) == 96, "a value descriptor has 96 bytes");

enum { TDM_TENSOR_KIND = 1, TDM_BYTES_KIND, TDM_TEXT_KIND, TDM_JSON_KIND, TDM_IMAGE_KIND, TDM_LIST_KIND };

/* Element types. TDM_BYTES is uint32_t offsets[n+1], then the bytes of all elements; TDM_BOOL is one byte, 0 or 1. */
enum {
	TDM_FP32 = 1, TDM_UINT8, TDM_INT8, TDM_UINT16, TDM_INT16, TDM_INT32, TDM_INT64, TDM_BYTES, TDM_BOOL, TDM_FP16,
	TDM_FP64, TDM_UINT32, TDM_UINT64, TDM_BF16 = 16
};

enum { TDM_READ_ONLY = 1, TDM_BOUND = 2, TDM_HOST_SIDE = 4, TDM_TRUNCATED = 8, TDM_ABSENT = 16 };

/* What a function returns: TDM_OK, tdm_fail(...), or an outcome from 1 to 255 that it declares. */
enum { TDM_OK = 0, TDM_ERROR = -1 };

/* What the server's functions answer below zero. */
enum {
	TDM_NOT_FOUND = -1, TDM_BAD_POINTER = -2, TDM_TOO_LARGE = -3, TDM_QUOTA = -4, TDM_DEADLINE = -5, TDM_DENIED = -6,
	TDM_BUSY = -7, TDM_MODEL = -8
};

/* ---- the server's functions -------------------------------------------------------------------------------------- */

enum { TDM_DEBUG = 0, TDM_INFO, TDM_WARN, TDM_ERR };
enum { TDM_COUNTER = 0, TDM_GAUGE, TDM_HISTOGRAM };

/* Writes one line to the server's log. */
TDM_IMPORT("log") void tdm_log_n(int32_t level, const char *text, uint32_t length);
/* Copies a top-level value of the configuration to buffer when it fits, a string's text or JSON; returns its length. */
TDM_IMPORT("config_get") int32_t tdm_config_get(const char *key, uint32_t length, void *buffer, uint32_t capacity);
/* Adds one sample to a metric. */
TDM_IMPORT("metric") int32_t tdm_metric_n(int32_t kind, const char *name, uint32_t length, double value);
/* A coarse monotonic clock in nanoseconds. */
TDM_IMPORT("now_ns") int64_t tdm_now(void);
/* Appends one JSON document to a stream of records. */
TDM_IMPORT("record") int32_t tdm_record_n(const char *stream, uint32_t stream_length, const char *json, uint32_t length);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

extern uint8_t __heap_base;
static uint32_t tdm_heap;

/*
 * Returns size bytes at a multiple of align, a power of two; NULL when there is no memory left. The bytes are not
 * cleared. Nothing is ever freed: unless the plugin is stateful, each call finds the memory as it was before the first.
 */
static inline void *tdm_take(uint32_t size, uint32_t align) {
	uint32_t start, end, have = (uint32_t)__builtin_wasm_memory_size(0) << 16;
	if (!tdm_heap) tdm_heap = (uint32_t)(uintptr_t)&__heap_base;
	start = (tdm_heap + align - 1) & ~(align - 1);
	end = start + size;
	if (start < tdm_heap || end < start) return NULL;
	if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1) return NULL;
	tdm_heap = end;
	return (void *)(uintptr_t)start;
}

/* Memory that most calls get by with: a call that makes the module grow costs a new instance. */
#ifndef TDM_ROOM
#define TDM_ROOM (1 << 20)
#endif

static inline uint32_t tdm_length(const char *text) {
	uint32_t n = 0;
	while (text[n]) n++;
	return n;
}

static inline void tdm_copy(void *to, const void *from, uint32_t n) { __builtin_memcpy(to, from, n); }

/* ---- logs, metrics, records, configuration ------------------------------------------------------------------------ */

static inline void tdm_log(int32_t level, const char *text) { tdm_log_n(level, text, tdm_length(text)); }

static inline int32_t tdm_metric(int32_t kind, const char *name, double value) {
	return tdm_metric_n(kind, name, tdm_length(name), value);
}

static inline int32_t tdm_record(const char *stream, const char *json, uint32_t length) {
	return tdm_record_n(stream, tdm_length(stream), json, length);
}

/* Copies the text of a configured value to buffer and ends it with a zero; returns its length, TDM_NOT_FOUND or TDM_TOO_LARGE. */
static inline int32_t tdm_config_text(const char *key, char *buffer, uint32_t capacity) {
	int32_t n = tdm_config_get(key, tdm_length(key), buffer, capacity);
	if (n >= 0 && (uint32_t)n >= capacity) return TDM_TOO_LARGE;
	if (n >= 0) buffer[n] = 0;
	return n;
}

/* Returns a configured number, or fallback where there is none. It is exact for whole numbers up to 2^53. */
static inline double tdm_config_number(const char *key, double fallback) {
	char text[64];
	const char *p = text;
	double value = 0, unit = 1;
	int exponent = 0, negative = 0, below = 0;
	if (tdm_config_text(key, text, sizeof text) <= 0) return fallback;
	if (*p == '-') unit = -1, p++;
	if (*p < '0' || *p > '9') return fallback;
	for (; *p >= '0' && *p <= '9'; p++) value = value * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, below++) value = value * 10 + (*p - '0');
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+') negative = *p++ == '-';
		for (; *p >= '0' && *p <= '9' && exponent < 1000; p++) exponent = exponent * 10 + (*p - '0');
	}
	exponent = (negative ? -exponent : exponent) - below;
	double scale = 1;
	for (int i = 0; i < exponent || i < -exponent; i++) scale *= 10;
	return unit * (exponent < 0 ? value / scale : value * scale);
}

/* Returns a configured truth value, or fallback where there is none. */
static inline int tdm_config_bool(const char *key, int fallback) {
	char text[8];
	int32_t n = tdm_config_text(key, text, sizeof text);
	return n == 4 && text[0] == 't' ? 1 : n == 5 && text[0] == 'f' ? 0 : fallback;
}

/* ---- a call ------------------------------------------------------------------------------------------------------- */

/* One call of a function. Inputs and outputs stand in the order of its ports. */
typedef struct tdm_call {
	tdm_request *request;
	const tdm_value *in;
	tdm_value *out;
} tdm_call;

typedef int32_t (*tdm_function)(tdm_call *);

/* Ends the call with an error: return tdm_fail(c, "..."). */
static inline int32_t tdm_fail(tdm_call *c, const char *text) {
	uint32_t n = tdm_length(text);
	if (n > c->request->err_cap) n = c->request->err_cap;
	tdm_copy((void *)(uintptr_t)c->request->err_ptr, text, n);
	c->request->err_len = n;
	return TDM_ERROR;
}

static inline int32_t tdm_no_memory(tdm_call *c) { return tdm_fail(c, "out of memory"); }

/* Returns input i. Its data must not be written and is gone after the call. */
static inline const tdm_value *tdm_in(const tdm_call *c, uint32_t i) { return &c->in[i]; }

/* Returns output i. */
static inline tdm_value *tdm_out(const tdm_call *c, uint32_t i) { return &c->out[i]; }

/* Tells whether an optional input got no value. */
static inline int tdm_absent(const tdm_value *v) { return (v->flags & TDM_ABSENT) != 0; }

/* Returns the bytes of one element, 0 for TDM_BYTES and for what is no element type. */
static inline uint32_t tdm_size(uint8_t dtype) {
	static const uint8_t sizes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2};
	return dtype < sizeof sizes ? sizes[dtype] : 0;
}

/* Returns the number of elements of a tensor, or of bytes of anything else but a list. */
static inline uint32_t tdm_count(const tdm_value *v) {
	uint64_t n = 1;
	if (v->kind != TDM_TENSOR_KIND) return (uint32_t)v->data_len;
	for (int i = 0; i < v->rank; i++) n *= (uint64_t)v->dims[i];
	return (uint32_t)n;
}

static inline const void *tdm_data(const tdm_value *v) { return (const void *)(uintptr_t)v->data_ptr; }
static inline const float *tdm_f32(const tdm_value *v) { return (const float *)tdm_data(v); }
static inline const double *tdm_f64(const tdm_value *v) { return (const double *)tdm_data(v); }
static inline const int32_t *tdm_i32(const tdm_value *v) { return (const int32_t *)tdm_data(v); }
static inline const int64_t *tdm_i64(const tdm_value *v) { return (const int64_t *)tdm_data(v); }
static inline const uint8_t *tdm_u8(const tdm_value *v) { return (const uint8_t *)tdm_data(v); }
static inline const char *tdm_text(const tdm_value *v) { return (const char *)tdm_data(v); } /* v->data_len bytes, no zero at the end */

/* Returns item i of a list, which has v->items of them. */
static inline const tdm_value *tdm_item(const tdm_value *v, uint32_t i) { return (const tdm_value *)tdm_data(v) + i; }

/* Returns element i of a TDM_BYTES tensor and its length. */
static inline const char *tdm_string(const tdm_value *v, uint32_t i, uint32_t *length) {
	const uint32_t *offsets = (const uint32_t *)tdm_data(v);
	*length = offsets[i + 1] - offsets[i];
	return (const char *)(offsets + tdm_count(v) + 1) + offsets[i];
}

/* Makes v a tensor and returns its data to be written, which is not cleared; NULL when there is no memory left. */
static inline void *tdm_set_tensor(tdm_value *v, uint8_t dtype, uint32_t rank, const int64_t *dims) {
	uint64_t n = tdm_size(dtype);
	for (uint32_t i = 0; i < rank; i++) {
		if (dims[i] < 0 || (dims[i] > 0 && n > UINT32_MAX / (uint64_t)dims[i])) return NULL;
		n *= (uint64_t)dims[i];
	}
	/* Where the size follows from the inputs the server has given a buffer; what is written there is not copied. */
	if (!(v->flags & TDM_BOUND) || v->data_len != n) {
		void *p = tdm_take(n ? (uint32_t)n : 1, 64);
		if (!p) return NULL;
		v->data_ptr = (uint32_t)(uintptr_t)p;
		v->data_len = n;
		v->flags = 0;
	}
	v->kind = TDM_TENSOR_KIND;
	v->dtype = dtype;
	v->rank = (uint8_t)rank;
	for (uint32_t i = 0; i < rank; i++) v->dims[i] = dims[i];
	return (void *)(uintptr_t)v->data_ptr;
}

/* Makes v a TDM_BYTES tensor over count strings, which are copied; 0 when there is no memory left. */
static inline int tdm_set_strings(tdm_value *v, uint32_t rank, const int64_t *dims, const char *const *strings,
                                  const uint32_t *lengths, uint32_t count) {
	uint32_t n = 4 * (count + 1), at = 0;
	for (uint32_t i = 0; i < count; i++) n += lengths[i];
	uint32_t *offsets = (uint32_t *)tdm_take(n, 64);
	if (!offsets) return 0;
	char *text = (char *)(offsets + count + 1);
	for (uint32_t i = 0; i < count; i++) {
		offsets[i] = at;
		tdm_copy(text + at, strings[i], lengths[i]);
		at += lengths[i];
	}
	offsets[count] = at;
	v->kind = TDM_TENSOR_KIND;
	v->dtype = TDM_BYTES;
	v->rank = (uint8_t)rank;
	v->flags = 0;
	for (uint32_t i = 0; i < rank; i++) v->dims[i] = dims[i];
	v->data_ptr = (uint32_t)(uintptr_t)offsets;
	v->data_len = n;
	return 1;
}

/* Makes v a value of another kind over length bytes at data, which must stay as they are until the call is over. */
static inline void tdm_set(tdm_value *v, uint8_t kind, const void *data, uint32_t length) {
	v->kind = kind;
	v->dtype = v->rank = v->flags = 0;
	v->data_ptr = (uint32_t)(uintptr_t)data;
	v->data_len = length;
	for (int i = 0; i < 8; i++) v->dims[i] = 0;
}

/* Makes v a list and returns its count items, all cleared, to be set; NULL when there is no memory left. */
static inline tdm_value *tdm_set_list(tdm_value *v, uint32_t count) {
	tdm_value *items = (tdm_value *)tdm_take(count ? count * (uint32_t)sizeof(tdm_value) : 1, 64);
	if (!items) return NULL;
	__builtin_memset(items, 0, count * sizeof(tdm_value));
	tdm_set(v, TDM_LIST_KIND, items, count * (uint32_t)sizeof(tdm_value));
	v->items = count;
	return items;
}

/* Makes v the same value as from, over the same data: handing an input on costs nothing. */
static inline void tdm_set_same(tdm_value *v, const tdm_value *from) {
	uint32_t name_ptr = v->name_ptr, name_len = v->name_len;
	*v = *from;
	v->name_ptr = name_ptr;
	v->name_len = name_len;
}

static inline void *tdm_out_tensor(tdm_call *c, uint32_t i, uint8_t dtype, uint32_t rank, const int64_t *dims) {
	return tdm_set_tensor(tdm_out(c, i), dtype, rank, dims);
}
static inline void tdm_out_text(tdm_call *c, uint32_t i, const char *text, uint32_t length) {
	tdm_set(tdm_out(c, i), TDM_TEXT_KIND, text, length);
}
static inline void tdm_out_json(tdm_call *c, uint32_t i, const char *json, uint32_t length) {
	tdm_set(tdm_out(c, i), TDM_JSON_KIND, json, length);
}

/* ---- the description ---------------------------------------------------------------------------------------------- */

/* The ports of a function: TDM_PORTS(TDM_TENSOR(...), TDM_TEXT("text")), at most 8; TDM_NO_PORTS for none. */
#define TDM_NO_PORTS "[]"
#define TDM_PORTS(...) "[" TDM_PICK_(__VA_ARGS__, TDM_8_, TDM_7_, TDM_6_, TDM_5_, TDM_4_, TDM_3_, TDM_2_, TDM_1_, 0)(__VA_ARGS__) "]"
#define TDM_PICK_(a, b, c, d, e, f, g, h, chosen, ...) chosen
#define TDM_1_(a) a
#define TDM_2_(a, ...) a "," TDM_1_(__VA_ARGS__)
#define TDM_3_(a, ...) a "," TDM_2_(__VA_ARGS__)
#define TDM_4_(a, ...) a "," TDM_3_(__VA_ARGS__)
#define TDM_5_(a, ...) a "," TDM_4_(__VA_ARGS__)
#define TDM_6_(a, ...) a "," TDM_5_(__VA_ARGS__)
#define TDM_7_(a, ...) a "," TDM_6_(__VA_ARGS__)
#define TDM_8_(a, ...) a "," TDM_7_(__VA_ARGS__)

/* One port. A shape is JSON without its brackets: "1,3,\"h\",\"w\""; a name is equal wherever it stands, "\"?\"" is any. */
#define TDM_TENSOR(name, dtype, shape) "{\"name\":\"" name "\",\"kind\":\"tensor\",\"dtype\":\"" dtype "\",\"shape\":[" shape "]}"
#define TDM_TENSOR_OF_ANY_SHAPE(name, dtype) "{\"name\":\"" name "\",\"kind\":\"tensor\",\"dtype\":\"" dtype "\"}"
#define TDM_TENSOR_LIST(name, dtype, shape) "{\"name\":\"" name "\",\"kind\":\"tensor\",\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"list\":true}"
#define TDM_TEXT(name) "{\"name\":\"" name "\",\"kind\":\"text\"}"
#define TDM_JSON(name) "{\"name\":\"" name "\",\"kind\":\"json\"}"
#define TDM_IMAGE(name) "{\"name\":\"" name "\",\"kind\":\"image\"}"
#define TDM_BINARY(name) "{\"name\":\"" name "\",\"kind\":\"bytes\"}"
/* Any port, written out: TDM_PORT("\"name\":\"x\",\"kind\":\"text\",\"optional\":true,\"doc\":\"...\"") */
#define TDM_PORT(json) "{" json "}"

/* What a function is configured with: a JSON Schema, or nothing. */
#define TDM_NO_WITH ""
#define TDM_WITH(schema) ",\"with\":" schema
/* The outcomes that a function may return, after its configuration: TDM_NO_WITH TDM_OUTCOMES("\"skip\":7") */
#define TDM_OUTCOMES(json) ",\"outcomes\":{" json "}"

#define TDM_JSON_(function, doc, inputs, outputs, with) \
	",{\"name\":\"" #function "\",\"doc\":\"" doc "\",\"inputs\":" inputs ",\"outputs\":" outputs with "}"
#define TDM_POINTER_(function, doc, inputs, outputs, with) function,

/* The export that gives the server its transfer arena. */
#define TDM_ALLOC_()                                                                                                  \
	TDM_EXPORT("tdm1_alloc") uint32_t tdm1_alloc(uint32_t size, uint32_t align) {                                 \
		uint32_t arena = (uint32_t)(uintptr_t)tdm_take(size, align), after = tdm_heap;                        \
		tdm_take(TDM_ROOM, 1);                                                                                \
		tdm_heap = after;                                                                                     \
		return arena;                                                                                         \
	}

/*
 * Makes the module's exports. functions is a macro that lists the plugin's functions:
 *
 *   #define FUNCTIONS(F) F(name, "doc", inputs, outputs, with) F(...)
 *
 * name is both the C function and what graphs call it. Texts must not hold quotes or backslashes.
 */
#define TDM_PLUGIN(name, version, doc, functions)                                                                     \
	TDM_EXPORT("tdm1_describe") uint64_t tdm1_describe(void) {                                                    \
		static const char head[] = "{\"name\":\"" name "\",\"version\":\"" version "\",\"doc\":\"" doc "\",\"functions\":["; \
		static const char list[] = functions(TDM_JSON_) "]}"; /* begins with a comma */                       \
		uint32_t n = sizeof head - 1 + sizeof list - 2;                                                       \
		char *text = (char *)tdm_take(n, 1);                                                                  \
		if (!text) return 0;                                                                                  \
		tdm_copy(text, head, sizeof head - 1);                                                                \
		tdm_copy(text + sizeof head - 1, list + 1, sizeof list - 2);                                          \
		return (uint64_t)(uint32_t)(uintptr_t)text << 32 | n;                                                 \
	}                                                                                                             \
	TDM_ALLOC_()                                                                                                  \
	TDM_EXPORT("tdm1_run") int32_t tdm1_run(uint32_t address) {                                                   \
		static const tdm_function table[] = {functions(TDM_POINTER_)};                                        \
		tdm_request *r = (tdm_request *)(uintptr_t)address;                                                   \
		tdm_call c = {r, (const tdm_value *)(uintptr_t)r->in_ptr, (tdm_value *)(uintptr_t)r->out_ptr};        \
		if (r->major != 1 || r->op >= sizeof table / sizeof table[0]) return tdm_fail(&c, "no such function"); \
		r->num_out = r->out_cap;                                                                              \
		return table[r->op](&c);                                                                              \
	}

#ifdef __cplusplus
}
#endif

#endif
