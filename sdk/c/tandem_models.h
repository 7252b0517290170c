/*
 * tandem_models.h - calls of models from inside a plugin in C or C++. Include it after tandem.h.
 *
 *   int32_t model = tdm_model_open("detector");
 *   tdm_value x = tdm_argument("x", tdm_in(c, 0)), y = tdm_wanted("y");
 *   int32_t code = model < 0 ? model : tdm_model_run(model, &x, 1, &y, 1);
 *   if (code < 0) return tdm_fail(c, tdm_error_text(code));
 *   const float *data = (const float *)tdm_fetch(&y);
 *
 * What a model answers stays in the server until tdm_fetch copies it; tdm_set_same hands it on without a copy, as an output
 * or as the input of another model. The server forgets it at the end of the call.
 */
#ifndef TANDEM_MODELS_H
#define TANDEM_MODELS_H

#include "tandem.h"

#ifdef __cplusplus
extern "C" {
#endif

TDM_IMPORT("model_open") int32_t tdm_model_open_n(const char *name, uint32_t length);
/* Runs a model and waits; 0, or an error below zero. */
TDM_IMPORT("model_run") int32_t tdm_model_run(int32_t model, const tdm_value *in, uint32_t num_in, tdm_value *out, uint32_t num_out);
/* Starts a model on copies of its inputs; a ticket from 1, or an error below zero. At most 64 are open at a time. */
TDM_IMPORT("model_start") int32_t tdm_model_start(int32_t model, const tdm_value *in, uint32_t num_in);
/* Waits for a ticket, which is then used up; TDM_DEADLINE leaves it good. A negative timeout waits as long as the call may. */
TDM_IMPORT("model_wait") int32_t tdm_model_wait(int32_t ticket, tdm_value *out, uint32_t num_out, int32_t timeout_ms);
/* Waits until one of the tickets is done and returns its index. */
TDM_IMPORT("wait_any") int32_t tdm_wait_any(const int32_t *tickets, uint32_t n, int32_t timeout_ms);
TDM_IMPORT("val_read") int32_t tdm_val_read(uint32_t handle, int64_t offset, void *to, uint32_t length);
TDM_IMPORT("val_make") int32_t tdm_val_make(const tdm_value *v);
/* Gives a value that the server keeps up before the call ends. */
TDM_IMPORT("val_drop") int32_t tdm_val_drop(uint32_t handle);

/* Returns the number of a model by the name under which the graph's node grants it, or an error below zero. */
static inline int32_t tdm_model_open(const char *name) { return tdm_model_open_n(name, tdm_length(name)); }

static inline void tdm_name(tdm_value *v, const char *name) {
	v->name_ptr = (uint32_t)(uintptr_t)name;
	v->name_len = tdm_length(name);
}

/* Returns v as an input of a model; "" stands for the input at the same position. */
static inline tdm_value tdm_argument(const char *name, const tdm_value *v) {
	tdm_value argument = *v;
	tdm_name(&argument, name);
	return argument;
}

/* Returns what asks for an output of a model; "" stands for the output at the same position. */
static inline tdm_value tdm_wanted(const char *name) {
	tdm_value wanted;
	__builtin_memset(&wanted, 0, sizeof wanted);
	tdm_name(&wanted, name);
	return wanted;
}

/* Copies what the server keeps to the plugin's memory and returns its data; NULL when there is no memory or no such value. */
static inline const void *tdm_fetch(tdm_value *v) {
	uint32_t n = (uint32_t)v->data_len;
	if (!(v->flags & TDM_HOST_SIDE)) return tdm_data(v);
	void *to = tdm_take(n ? n : 1, 64);
	if (!to || tdm_val_read(v->handle, 0, to, n) != (int32_t)n) return NULL;
	tdm_val_drop(v->handle);
	v->flags = 0;
	v->handle = 0;
	v->data_ptr = (uint32_t)(uintptr_t)to;
	return to;
}

/* Moves a value to the server, so that several model calls share it; 0, or an error below zero. */
static inline int32_t tdm_keep(tdm_value *v) {
	int32_t handle = tdm_val_make(v);
	if (handle < 0) return handle;
	v->flags = TDM_HOST_SIDE;
	v->handle = (uint32_t)handle;
	v->data_ptr = 0;
	return 0;
}

/* Returns what an error of the server means. */
static inline const char *tdm_error_text(int32_t code) {
	switch (code) {
	case TDM_NOT_FOUND: return "not found";
	case TDM_TOO_LARGE: return "too large";
	case TDM_QUOTA: return "quota used up";
	case TDM_DEADLINE: return "out of time";
	case TDM_DENIED: return "denied";
	case TDM_BUSY: return "busy";
	case TDM_MODEL: return "the model failed";
	default: return "refused by the server";
	}
}

#ifdef __cplusplus
}
#endif

#endif
