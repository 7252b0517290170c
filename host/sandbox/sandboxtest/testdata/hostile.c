/* A plugin that does whatever a mode tells it to. The expected outcomes stand in hostile_test.go. */
#include "tdm.h"

#define MODE "{\"name\":\"mode\",\"kind\":\"tensor\",\"dtype\":\"INT32\",\"shape\":[]}"
#define DONE "{\"name\":\"done\",\"kind\":\"tensor\",\"dtype\":\"INT64\",\"shape\":[],\"optional\":true}"

DESCRIBE("{\"name\":\"hostile\",\"functions\":["
	"{\"name\":\"trap\",\"inputs\":[" MODE "],\"outputs\":[]},"
	"{\"name\":\"spin\",\"inputs\":[" MODE "],\"outputs\":[]},"
	"{\"name\":\"memory\",\"inputs\":[" MODE "],\"outputs\":[" DONE "]},"
	"{\"name\":\"answer\",\"inputs\":[" MODE "],\"outputs\":["
	"{\"name\":\"y\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[2,\"n\"]}"
	"]},"
	"{\"name\":\"host\",\"inputs\":[" MODE "],\"outputs\":[" DONE "]}"
	"]}")

IMPORT("log") void tdm_log(int32_t level, const void *p, uint32_t n);
IMPORT("now_ns") int64_t tdm_now(void);
IMPORT("config_get") int32_t tdm_config(const void *k, uint32_t kn, void *b, uint32_t cap);
IMPORT("metric") int32_t tdm_metric(int32_t kind, const void *n, uint32_t nn, double v);
IMPORT("record") int32_t tdm_record(const void *s, uint32_t sn, const void *d, uint32_t dn);
IMPORT("model_open") int32_t tdm_open(const void *n, uint32_t nn);
IMPORT("model_run") int32_t tdm_model(int32_t m, void *in, uint32_t n, void *out, uint32_t no);
IMPORT("model_start") int32_t tdm_start(int32_t m, void *in, uint32_t n);
IMPORT("model_wait") int32_t tdm_wait(int32_t t, void *out, uint32_t no, int32_t ms);
IMPORT("wait_any") int32_t tdm_any(void *t, uint32_t n, int32_t ms);
IMPORT("val_info") int32_t tdm_info(uint32_t h, void *v);
IMPORT("val_read") int32_t tdm_read(uint32_t h, int64_t off, void *d, uint32_t n);
IMPORT("val_make") int32_t tdm_make(void *v);
IMPORT("val_drop") int32_t tdm_drop(uint32_t h);
#define WASI(n) __attribute__((import_module("wasi_snapshot_preview1"), import_name(n)))
WASI("proc_exit") void wasi_exit(int32_t code);
WASI("random_get") int32_t wasi_random(void *p, uint32_t n);
WASI("fd_write") int32_t wasi_write(int32_t fd, void *v, uint32_t n, void *w);
WASI("poll_oneoff") int32_t wasi_poll(void *in, void *out, uint32_t n, void *w);

static volatile uint32_t sink;
static uint8_t scratch[65536];

__attribute__((noinline)) static uint32_t deep(uint32_t n) {
	volatile uint32_t keep[4] = {n};
	return deep(n + 1) + keep[0];
}
__attribute__((noinline)) static uint32_t deeper(uint32_t n) { return n == 0xffffffff ? 0 : deeper(n + 1) + sink; }
__attribute__((noinline, optnone)) static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
__attribute__((noinline, optnone)) static uint32_t ping(uint32_t n);
__attribute__((noinline, optnone)) static uint32_t pong(uint32_t n) { return n == 0 ? 1 : ping(n - 1) + ping(n - 1); }
__attribute__((noinline, optnone)) static uint32_t ping(uint32_t n) { return n == 0 ? 1 : pong(n - 1) + pong(n - 1); }

typedef uint32_t (*fn)(uint32_t);
static fn table[2] = {fib, ping};

static int32_t trap(int32_t mode) {
	switch (mode) {
	case 0: __builtin_trap();
	case 1: { volatile int32_t z = 0; return 7 / z; }
	case 2: return *(volatile int32_t *)0xfffffff0u;
	case 3: *(volatile int32_t *)0xfffffff0u = 1; return 0;
	case 4: return (int32_t)deep(0);
	case 5: { fn f = *(volatile fn *)&table[0]; return ((uint64_t(*)(uint64_t))f)(1); } /* wrong signature */
	case 6: { fn volatile f = (fn)0x7fffffff; return f(1); }
	case 7: wasi_exit(3); return 0;
	case 8: wasi_exit(0); return 0;
	case 9: __builtin_memset((void *)0xffff0000u, 1, 1 << 20); return 0;
	case 10: return (int32_t)deeper(0);
	}
	return 0;
}

static void spin(int32_t mode) {
	switch (mode) {
	case 0: for (;;) sink++;
	case 1: for (;;) sink += fib(30);
	case 2: sink = fib(60); break;
	case 3: sink = ping(60); break;
	case 4: for (;;) __builtin_memset(scratch, (int)sink++, sizeof scratch);
	case 5: for (;;) __builtin_memcpy(scratch, scratch + 32768, 32768);
	case 6: { /* long bulk operations */
		uint8_t *big = take(200 << 20, 64);
		if (!big) __builtin_trap();
		for (;;) __builtin_memset(big, (int)sink++, 200 << 20);
	}
	case 7: for (;;) tdm_now();
	case 8: for (;;) tdm_log(1, scratch, 100);
	case 9: for (;;) wasi_random(scratch, sizeof scratch);
	case 10: { /* printing */
		uint32_t v[2] = {(uint32_t)scratch, sizeof scratch};
		for (;;) wasi_write(1, v, 1, scratch);
	}
	case 11: { /* sleeping */
		static uint8_t sub[48], ev[32];
		*(uint64_t *)(sub + 24) = 1000000000ull;
		for (;;) wasi_poll(sub, ev, 1, scratch);
	}
	case 12: for (;;) __builtin_wasm_memory_grow(0, 1);
	case 13: for (;;) tdm_record("s", 1, "{}", 2);
	case 14: for (;;) tdm_metric(0, "m", 1, 1.0);
	case 15: for (;;) { volatile fn f = table[sink++ & 1]; f(8); }
	case 16: { /* every access is to a page that was not there */
		volatile uint8_t *p = take(240 << 20, 64);
		if (!p) __builtin_trap();
		for (uint32_t i = 0;; i = (i + 4096) % (240 << 20)) p[i] = 1;
	}
	case 17: { /* every access waits for memory */
		volatile uint32_t *p = take(32 << 20, 64);
		if (!p) __builtin_trap();
		for (uint32_t i = 0; i < 8 << 20; i += 1024) p[i] = 1;
		for (uint32_t x = 1;;) x = x * 1664525 + 1013904223 + p[x >> 9];
	}
	case 18: for (uint64_t x = ~0ull;; x = x / (sink | 1) + ~0ull / (x | 1)) ; /* slow instructions */
	}
}

static int32_t memory(int32_t mode, tdm_value *out) {
	static int64_t done;
	*out = (tdm_value){.kind = TENSOR, .dtype = INT64, .data_ptr = (uint32_t)&done, .data_len = 8};
	switch (mode) {
	case 0: while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) done++; return 0;
	case 1: while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) done++; __builtin_trap();
	case 2: done = (int64_t)__builtin_wasm_memory_grow(0, 1); return 0;
	case 3: done = (int64_t)__builtin_wasm_memory_grow(0, 65535); return 0;
	case 4: { /* touch 100 MiB */
		uint8_t *p = take(100 << 20, 64);
		if (!p) __builtin_trap();
		for (uint32_t i = 0; i < 100 << 20; i += 4096) p[i] = 1;
		done = 100 << 20;
		return 0;
	}
	case 5: done = (int64_t)__builtin_wasm_memory_size(0); return 0;
	}
	return 0;
}

static float numbers[8];

static void tensor(tdm_value *v, uint8_t dtype, void *p, uint64_t len, uint8_t rank, int64_t d0, int64_t d1) {
	*v = (tdm_value){.kind = TENSOR, .dtype = dtype, .rank = rank, .data_ptr = (uint32_t)p, .data_len = len, .dims = {d0, d1}};
}
static void text(tdm_value *v, uint8_t kind, const char *s) {
	*v = (tdm_value){.kind = kind, .data_ptr = (uint32_t)s, .data_len = len_of(s)};
}

/* What else is wrong with answers is in the corpus, a module each. */
static int32_t answer(int32_t mode, tdm_request *r, tdm_value *out) {
	tensor(&out[0], FP32, numbers, 24, 2, 2, 3); /* right */
	r->num_out = 1;
	switch (mode) {
	case 0: return 0;
	case 1: return fail(r, "told so");
	case 2: r->err_ptr = 0xffffffff; r->err_len = 10; return -2;
	case 3: __builtin_memcpy((void *)r->err_ptr, "a\nb\xff\x00z", 6); r->err_len = 6; return INT32_MIN;
	}
	return 0;
}

/* Host calls with wild arguments; the number that came back is the answer. */
static int32_t host(int32_t mode, tdm_value *out) {
	static int64_t done;
	const uint32_t wild = 0xfffffff0u;
	void *bad = (void *)wild;
	static tdm_value v;
	*out = (tdm_value){.kind = TENSOR, .dtype = INT64, .data_ptr = (uint32_t)&done, .data_len = 8};
	switch (mode) {
	case 0: tdm_log(1, bad, 100); tdm_log(-5, "x", 1); tdm_log(99, "x", 1); tdm_log(1, "", 0); tdm_log(1, scratch, 0x7fffffff); break;
	case 1: done = tdm_config(bad, 100, scratch, 10); break;
	case 2: done = tdm_config("nope", 4, scratch, 10); break;
	case 3: done = tdm_config("key", 3, bad, 100); break;
	case 4: done = tdm_config("key", 3, bad, 1); break;
	case 5: done = tdm_metric(0, bad, 10, 1); break;
	case 6: done = tdm_metric(9, "m", 1, 1); break;
	case 7: done = tdm_metric(0, "bad name", 8, 1); break;
	case 8: done = tdm_record(bad, 10, "{}", 2); break;
	case 9: done = tdm_record("s", 1, bad, 100); break;
	case 10: done = tdm_record("s", 1, "{", 1); break;
	case 11: done = tdm_record("s", 1, scratch, 65537); break;
	case 12: done = tdm_record("s", 1, "{}", 2); break;
	case 13: done = tdm_open(bad, 10); break;
	case 14: done = tdm_open("secret", 6); break;
	case 15: done = tdm_open(scratch, 5000); break;
	case 16: done = tdm_model(5, &v, 0, &v, 0); break;
	case 17: done = tdm_model(tdm_open("ok", 2), bad, 1, &v, 0); break;
	case 18: done = tdm_model(tdm_open("ok", 2), &v, 1, &v, 0); break; /* input of kind 0 */
	case 19: done = tdm_model(tdm_open("ok", 2), &v, 1000, &v, 0); break;
	case 20: text(&v, TEXT, "hi"); done = tdm_model(tdm_open("ok", 2), &v, 1, bad, 1); break;
	case 21: text(&v, TEXT, "hi"); done = tdm_model(tdm_open("ok", 2), &v, 1, &v, 0x7fffffff); break;
	case 22: done = tdm_wait(1, &v, 0, 0); break;
	case 23: done = tdm_wait(-1, &v, 0, 0); break;
	case 24: { text(&v, TEXT, "hi"); int32_t t = tdm_start(tdm_open("ok", 2), &v, 1); tdm_wait(t, &v, 0, -1); done = tdm_wait(t, &v, 0, -1); break; }
	case 25: { text(&v, TEXT, "hi"); for (int i = 0; i < 10; i++) tdm_start(tdm_open("slow", 4), &v, 1); break; } /* never waited for */
	case 26: done = tdm_any(bad, 3, 0); break;
	case 27: done = tdm_any(&v, 0, 0); break;
	case 28: { uint32_t t[2] = {0, 9}; done = tdm_any(t, 2, 0); break; }
	case 29: done = tdm_info(1, &v); break;
	case 30: text(&v, TEXT, "hi"); done = tdm_info(tdm_make(&v), bad); break;
	case 31: text(&v, TEXT, "hi"); done = tdm_read(tdm_make(&v), 3, scratch, 9); break;
	case 32: text(&v, TEXT, "hi"); done = tdm_read(tdm_make(&v), -1, scratch, 9); break;
	case 33: text(&v, TEXT, "hi"); done = tdm_read(tdm_make(&v), 0, bad, 9); break;
	case 34: done = tdm_make(bad); break;
	case 35: done = tdm_make(&v); break; /* kind 0 */
	case 36: text(&v, TEXT, "\xff"); done = tdm_make(&v); break;
	case 37: text(&v, TEXT, "hi"); { int32_t h = tdm_make(&v); tdm_drop(h); done = tdm_drop(h); } break;
	case 38: text(&v, TEXT, "hi"); for (int i = 0; i < 2000; i++) done = tdm_make(&v); break;
	case 39: v = (tdm_value){.kind = BYTES_, .data_ptr = (uint32_t)scratch, .data_len = sizeof scratch}; for (int i = 0; i < 100000; i++) { done = tdm_make(&v); tdm_drop((uint32_t)done); } break;
	case 40: text(&v, TEXT, "hi"); for (int i = 0; i < 200; i++) done = tdm_start(tdm_open("slow", 4), &v, 1); break;
	case 41: for (int i = 0; i < 300; i++) { scratch[0] = 'a' + i % 26; scratch[1] = 'a' + i / 26; done = tdm_open(scratch, 2); } break;
	case 42: for (int i = 0; i < 5000; i++) done = tdm_record("s", 1, "{}", 2); break;
	case 43: for (int i = 0; i < 5000; i++) done = tdm_metric(0, "m", 1, 1); break;
	case 44: done = wasi_random(bad, 100); break;
	case 45: done = wasi_write(1, bad, 3, scratch); break;
	case 46: done = wasi_write(7, scratch, 1, scratch); break;
	case 47: { uint32_t w[2] = {wild, 100}; done = wasi_write(1, w, 1, scratch); break; }
	case 48: done = wasi_poll(bad, scratch, 1, scratch); break;
	case 49: done = wasi_poll(scratch, scratch, 0x7fffffff, scratch); break;
	case 50: { text(&v, TEXT, "hi"); int32_t t = tdm_start(tdm_open("slow", 4), &v, 1); done = tdm_wait(t, &v, 0, 1); break; }
	case 51: { text(&v, TEXT, "hi"); int32_t t = tdm_start(tdm_open("slow", 4), &v, 1); done = tdm_wait(t, &v, 0, -1); break; }
	case 52: text(&v, TEXT, "hi"); done = tdm_model(tdm_open("slow", 4), &v, 1, &v, 0); break;
	}
	return 0;
}

EXPORT("tdm1_run") int32_t tdm1_run(tdm_request *r) {
	int32_t mode = *(int32_t *)in_of(r)->data_ptr;
	tdm_value *out = out_of(r);
	switch (r->op) {
	case 0: return trap(mode);
	case 1: spin(mode); return 0;
	case 2: r->num_out = 1; return memory(mode, out);
	case 3: return answer(mode, r, out);
	case 4: r->num_out = 1; return host(mode, out);
	}
	return fail(r, "no such function");
}
