//go:build cgo && (linux || darwin)

#include "shim.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ORT_STRING = 8 };

int tdm_call_new(tdm_session *s, tdm_call **out, tdm_error *err) {
  size_t n = s->inputs + s->outputs;
  tdm_call *c = calloc(1, sizeof *c);
  if (c == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  c->session = s;
  c->tensors = calloc(n + 1, sizeof *c->tensors);
  c->values = calloc(n + 1, sizeof *c->values);
  if (c->tensors == NULL || c->values == NULL) {
    tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  } else if (tdm_check(s->env, ORT(tdm_api(s->env), CreateRunOptions)(&c->options), err) == 0) {
    const int fatal = 4; // what goes wrong in a run is returned; it is not logged as well
    tdm_check(s->env, ORT(tdm_api(s->env), RunOptionsSetRunLogSeverityLevel)(c->options, fatal), err);
  }
  if (err->code) {
    tdm_call_free(c);
    return err->code;
  }
  *out = c;
  return 0;
}

void tdm_call_free(tdm_call *c) {
  size_t n = c->session->inputs + c->session->outputs;
  for (size_t i = 0; c->tensors != NULL && i < n; i++) free(c->tensors[i].dims);
  if (c->options != NULL) ORT(tdm_api(c->session->env), ReleaseRunOptions)(c->options);
  free(c->tensors);
  free(c->values);
  free(c);
}

// tdm_reserve makes room for a shape; what was in it is lost when it has to grow.
bool tdm_reserve(tdm_tensor *t, size_t rank) {
  if (rank <= t->dims_cap && t->dims != NULL) return true;
  size_t cap = rank < 8 ? 8 : rank;
  free(t->dims);
  t->dims = calloc(cap, sizeof *t->dims);
  t->dims_cap = t->dims == NULL ? 0 : cap;
  return t->dims != NULL;
}

// wrap makes an OrtValue over the caller's memory. Strings are copied: ONNX Runtime keeps them in objects of its own.
static int wrap(tdm_env *env, const tdm_tensor *t, OrtValue **value, tdm_error *err) {
  static uint8_t nothing[8];
  if (t->dtype == ORT_STRING) return tdm_fill_strings(env, t, value, err);
  void *data = t->caller_data == 0 ? nothing : (void *)t->caller_data;
  OrtStatus *status = ORT(tdm_api(env), CreateTensorWithDataAsOrtValue)(tdm_memory(env), data, t->size, t->dims, t->rank, t->dtype, value);
  return tdm_check(env, status, err);
}

// tdm_shape_of reads dtype and shape of a tensor into t.
int tdm_shape_of(tdm_env *env, const OrtValue *value, tdm_tensor *t, size_t *elements, tdm_error *err) {
  const void *const *api = tdm_api(env);
  OrtTensorInfo *info = NULL;
  if (tdm_check(env, ORT(api, GetTensorTypeAndShape)(value, &info), err)) return err->code;
  if (tdm_check(env, ORT(api, GetTensorElementType)(info, &t->dtype), err) ||
      tdm_check(env, ORT(api, GetTensorShapeElementCount)(info, elements), err) ||
      tdm_check(env, ORT(api, GetDimensionsCount)(info, &t->rank), err)) {
    goto done;
  }
  if (!tdm_reserve(t, t->rank)) {
    tdm_fail(err, TDM_NO_MEMORY, "out of memory");
    goto done;
  }
  tdm_check(env, ORT(api, GetDimensions)(info, t->dims, t->rank), err);
done:
  ORT(api, ReleaseTensorTypeAndShapeInfo)(info);
  return err->code;
}

// tdm_element_size returns the bytes of one element by ONNX's number of the type, 0 for strings and what is not carried.
size_t tdm_element_size(int dtype) {
  static const uint8_t sizes[] = {[1] = 4, [2] = 1, [3] = 1, [4] = 2, [5] = 2, [6] = 4, [7] = 8, [9] = 1, [10] = 2, [11] = 8, [12] = 4, [13] = 8, [16] = 2};
  return dtype > 0 && (size_t)dtype < sizeof sizes ? sizes[dtype] : 0;
}

// take_data finds the data of a tensor of numbers. A model may hand an input through: what lies in the caller's memory is
// copied out of it.
static int take_data(tdm_call *c, tdm_tensor *t, OrtValue *value, tdm_buffer *copy) {
  tdm_env *env = c->session->env;
  if (tdm_check(env, ORT(tdm_api(env), GetTensorMutableData)(value, &t->data), &c->err)) return c->err.code;
  uintptr_t at = (uintptr_t)t->data;
  for (size_t i = 0; i < c->session->inputs && t->size > 0; i++) {
    const tdm_tensor *in = &c->tensors[i];
    if (at < in->caller_data || at - in->caller_data >= in->size) continue;
    if ((copy->data = malloc(t->size)) == NULL) return tdm_fail(&c->err, TDM_NO_MEMORY, "out of memory");
    memcpy(copy->data, t->data, t->size);
    copy->size = t->size;
    return 0;
  }
  t->value = value;
  return 0;
}

// take hands out what the run left in value; it owns value on success only.
static int take(tdm_call *c, tdm_tensor *t, OrtValue *value) {
  tdm_env *env = c->session->env;
  tdm_error *err = &c->err;
  if (value == NULL) return tdm_fail(err, TDM_UNSUPPORTED, "the model left it empty");
  tdm_buffer packed = {0};
  size_t elements = 0;
  if (t->how == TDM_WALK) {
    t->rank = 0;
    tdm_walk(env, value, 0, &packed, err);
  } else if (tdm_shape_of(env, value, t, &elements, err) == 0) {
    if (t->dtype == ORT_STRING) {
      tdm_pack_strings(env, value, elements, &packed, err);
    } else if (tdm_element_size(t->dtype) == 0) {
      tdm_fail(err, TDM_UNSUPPORTED, "data type %d is not carried", t->dtype);
    } else {
      t->size = elements * tdm_element_size(t->dtype);
      if (take_data(c, t, value, &packed) == 0 && t->value != NULL) return 0;
    }
  }
  if (err->code) {
    free(packed.data);
    return err->code;
  }
  t->data = packed.data;
  t->size = packed.size;
  t->value = NULL;
  ORT(tdm_api(env), ReleaseValue)(value);
  return 0;
}

static int prepare(tdm_call *c) {
  const tdm_session *s = c->session;
  for (c->at = 0; c->at < s->inputs + s->outputs; c->at++) {
    tdm_tensor *t = &c->tensors[c->at];
    t->value = NULL;
    if (c->at < s->inputs || t->how == TDM_BIND) {
      if (wrap(s->env, t, &c->values[c->at], &c->err)) return c->err.code;
    }
  }
  return 0;
}

static int take_outputs(tdm_call *c) {
  const tdm_session *s = c->session;
  for (c->at = s->inputs; c->at < s->inputs + s->outputs; c->at++) {
    tdm_tensor *t = &c->tensors[c->at];
    if (t->how == TDM_BIND) continue;
    if (take(c, t, c->values[c->at])) return c->err.code;
    c->values[c->at] = NULL;
  }
  return 0;
}

// drop gives back the outputs that were taken before a later one failed. take may have left value set when it failed; it
// is in values too then.
static void drop(tdm_call *c) {
  const tdm_session *s = c->session;
  for (size_t i = s->inputs; i < c->at && i < s->inputs + s->outputs; i++) {
    tdm_tensor *t = &c->tensors[i];
    if (t->how == TDM_BIND) continue;
    if (t->value != NULL) {
      ORT(tdm_api(s->env), ReleaseValue)(t->value);
    } else {
      free(t->data);
    }
  }
}

int tdm_run(tdm_call *c) {
  const tdm_session *s = c->session;
  const void *const *api = tdm_api(s->env);
  c->err.code = 0;
  if (prepare(c) == 0) {
    OrtStatus *status = ORT(api, Run)(s->session, c->options, (const char *const *)s->names, (const OrtValue *const *)c->values,
                                      s->inputs, (const char *const *)s->names + s->inputs, s->outputs, c->values + s->inputs);
    if (tdm_check(s->env, status, &c->err) == 0 && take_outputs(c) != 0) drop(c);
  }
  for (size_t i = 0; i < s->inputs + s->outputs; i++) {
    if (c->values[i] != NULL) ORT(api, ReleaseValue)(c->values[i]);
    c->values[i] = NULL;
  }
  c->log_waiting = tdm_log_waiting(s->env);
  return c->err.code;
}

void tdm_terminate(tdm_call *c) {
  tdm_error ignored = {0};
  tdm_check(c->session->env, ORT(tdm_api(c->session->env), RunOptionsSetTerminate)(c->options), &ignored);
}

void tdm_rearm(tdm_call *c) {
  tdm_error ignored = {0};
  tdm_check(c->session->env, ORT(tdm_api(c->session->env), RunOptionsUnsetTerminate)(c->options), &ignored);
}

void tdm_release_value(tdm_env *env, OrtValue *value) { ORT(tdm_api(env), ReleaseValue)(value); }
