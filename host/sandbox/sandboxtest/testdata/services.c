/* What a plugin can ask of its host, used as it should be. */
#include "tdm.h"

#define X "{\"name\":\"x\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[\"n\"]}"
#define Y "{\"name\":\"y\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[\"n\"]}"
#define N "{\"name\":\"n\",\"kind\":\"tensor\",\"dtype\":\"INT64\",\"shape\":[]}"
#define WITH "\"with\":{\"type\":\"object\",\"properties\":{\"model\":{\"type\":\"string\"},\"n\":{}},\"additionalProperties\":false}"

DESCRIBE("{\"name\":\"services\",\"functions\":["
	"{\"name\":\"run\",\"inputs\":[" X "],\"outputs\":[" Y "]," WITH "},"
	"{\"name\":\"run_bound\",\"inputs\":[" X "],\"outputs\":[" Y "]," WITH "},"
	"{\"name\":\"fan_out\",\"inputs\":[" X "],\"outputs\":[" Y "]," WITH "},"
	"{\"name\":\"pass_handle\",\"inputs\":[" X "],\"outputs\":[" Y "]," WITH "},"
	"{\"name\":\"opened_in_init\",\"inputs\":[" X "],\"outputs\":[" Y "]," WITH "},"
	"{\"name\":\"talk\",\"inputs\":[],\"outputs\":[{\"name\":\"config\",\"kind\":\"text\"}]," WITH "},"
	"{\"name\":\"random\",\"inputs\":[],\"outputs\":[{\"name\":\"bytes\",\"kind\":\"bytes\"}]," WITH "},"
	"{\"name\":\"sleep\",\"inputs\":[],\"outputs\":[" N "]," WITH "}"
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
WASI("random_get") int32_t wasi_random(void *p, uint32_t n);
WASI("fd_write") int32_t wasi_write(int32_t fd, void *v, uint32_t n, void *w);
WASI("poll_oneoff") int32_t wasi_poll(void *in, void *out, uint32_t n, void *w);

static int32_t opened = -1;
static char model[16];
static int32_t model_len;

EXPORT("tdm1_init") int32_t tdm1_init(uint32_t p, uint32_t n) {
	if (!n) return 0;
	model_len = tdm_config("model", 5, model, sizeof model);
	if (model_len < 0) return 1;
	opened = tdm_open(model, (uint32_t)model_len);
	return opened < 0;
}

static void print(int32_t fd, const char *s) {
	uint32_t v[2] = {(uint32_t)s, len_of(s)}, n;
	wasi_write(fd, v, 1, &n);
}

/* Reads a host-side value and describes it at v. */
static int fetch(tdm_value *v) {
	tdm_value info;
	if (tdm_info(v->handle, &info) || info.data_len != v->data_len || info.rank != 1) return -1;
	void *p = take((uint32_t)info.data_len, 64);
	uint32_t half = (uint32_t)info.data_len / 2;
	if (tdm_read(v->handle, 0, p, half) != (int32_t)half) return -1;
	if (tdm_read(v->handle, half, (uint8_t *)p + half, 1 << 20) != (int32_t)(info.data_len - half)) return -1;
	uint32_t h = v->handle;
	*v = info;
	v->flags = 0;
	v->handle = 0;
	v->data_ptr = (uint32_t)p;
	return tdm_drop(h);
}

EXPORT("tdm1_run") int32_t tdm1_run(tdm_request *r) {
	tdm_value *in = in_of(r), *out = out_of(r), res = {0};
	r->num_out = 1;
	int32_t m = tdm_open(model, (uint32_t)model_len);
	switch (r->op) {
	case 0:
	case 4:
		if (r->op == 4) m = opened;
		if (tdm_model(m, in, 1, &res, 1) < 0) return fail(r, "model_run failed");
		if (!(res.flags & HOST_SIDE) || fetch(&res)) return fail(r, "fetch failed");
		*out = res;
		return 0;
	case 1: /* the model writes into the bound output */
		if (!(out->flags & BOUND)) return fail(r, "not bound");
		out->name_ptr = (uint32_t) "out0";
		out->name_len = 4;
		return tdm_model(m, in, 1, out, 1) < 0 ? fail(r, "model_run failed") : 0;
	case 2: { /* three at once, in the order in which they end */
		uint32_t t[3];
		for (int i = 0; i < 3; i++) {
			t[i] = (uint32_t)tdm_start(m, in, 1);
			((float *)in->data_ptr)[0] = 99; /* too late: the input was copied */
			if (i == 0) continue;
			((float *)in->data_ptr)[0] = 1;
		}
		for (int left = 3; left > 0; left--) {
			int32_t i = tdm_any(t, (uint32_t)left, -1);
			if (i < 0 || tdm_wait((int32_t)t[i], &res, 1, 0)) return fail(r, "wait failed");
			if (t[i] == 1 && fetch(&res) == 0) *out = res;
			t[i] = t[left - 1];
			res = (tdm_value){0};
		}
		return 0;
	}
	case 3: { /* a value that stays on the host's side all the way */
		tdm_value v = *in;
		int32_t h = tdm_make(&v);
		v = (tdm_value){.flags = HOST_SIDE, .handle = (uint32_t)h};
		if (tdm_model(m, &v, 1, &res, 1) < 0) return fail(r, "model_run failed");
		*out = res;
		return 0;
	}
	case 5: {
		char *p = take(64, 1);
		tdm_log(0, "quiet", 5);
		tdm_log(3, "loud", 4);
		print(1, "one\ntw");
		print(2, "part");
		print(1, "o\n");
		tdm_record("pairs", 5, "{\"equal\":true}", 14);
		tdm_metric(0, "seen", 4, 1);
		tdm_metric(2, "ms", 2, 2.5);
		int32_t n = tdm_config("model", 5, p, 64);
		p[n++] = ' ';
		n += tdm_config("n", 1, p + n, 32);
		*out = (tdm_value){.kind = TEXT, .data_ptr = (uint32_t)p, .data_len = (uint64_t)n};
		return 0;
	}
	case 6: {
		void *p = take(32, 1);
		wasi_random(p, 32);
		*out = (tdm_value){.kind = BYTES_, .data_ptr = (uint32_t)p, .data_len = 32};
		return 0;
	}
	case 7: {
		int64_t *d = take(8, 8), began = tdm_now();
		static uint8_t sub[48], ev[32];
		uint32_t n;
		*(uint32_t *)(sub + 16) = 1;
		*(uint64_t *)(sub + 24) = 3600000000000ull;
		if (wasi_poll(sub, ev, 1, &n) || n != 1) return fail(r, "poll failed");
		*d = tdm_now() - began;
		*out = (tdm_value){.kind = TENSOR, .dtype = INT64, .data_ptr = (uint32_t)d, .data_len = 8};
		return 0;
	}
	}
	return fail(r, "no such function");
}
