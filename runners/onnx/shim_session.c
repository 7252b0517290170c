//go:build cgo && (linux || darwin)

#include "shim.h"

#include <stdlib.h>
#include <string.h>

int tdm_share_threads(tdm_env *env, void *options, tdm_error *err) {
  return tdm_check(env, ORT(tdm_api(env), DisablePerSessionThreads)(options), err);
}

void tdm_cancel_load(tdm_env *env, void *options) {
  tdm_error ignored = {0};
  tdm_check(env, ORT(tdm_api(env), SessionOptionsSetLoadCancellationFlag)(options, true), &ignored);
}

// take_names copies the names of the inputs and outputs, so that they outlive the allocator's.
static int take_names(tdm_session *s, tdm_error *err) {
  const void *const *api = tdm_api(s->env);
  OrtAllocator *allocator = tdm_allocator(s->env);
  s->names = calloc(s->inputs + s->outputs + 1, sizeof *s->names);
  if (s->names == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  for (size_t i = 0; i < s->inputs + s->outputs; i++) {
    char *name = NULL;
    OrtStatus *status = i < s->inputs ? ORT(api, SessionGetInputName)(s->session, i, allocator, &name)
                                      : ORT(api, SessionGetOutputName)(s->session, i - s->inputs, allocator, &name);
    if (tdm_check(s->env, status, err)) return err->code;
    s->names[i] = strdup(name);
    tdm_error ignored = {0};
    tdm_check(s->env, ORT(api, AllocatorFree)(allocator, name), &ignored);
    if (s->names[i] == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  }
  return 0;
}

int tdm_load(tdm_env *env, void *options, const void *model, size_t size, tdm_session **out, tdm_error *err) {
  const void *const *api = tdm_api(env);
  tdm_session *s = calloc(1, sizeof *s);
  if (s == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  s->env = env;
  const OrtEnv *ort = tdm_ort(env);
  if (tdm_check(env, ORT(api, CreateSessionFromArray)(ort, model, size, options, &s->session), err) ||
      tdm_check(env, ORT(api, SessionGetInputCount)(s->session, &s->inputs), err) ||
      tdm_check(env, ORT(api, SessionGetOutputCount)(s->session, &s->outputs), err) || take_names(s, err)) {
    tdm_unload(s);
    return err->code;
  }
  *out = s;
  return 0;
}

void tdm_unload(tdm_session *s) {
  if (s->session != NULL) ORT(tdm_api(s->env), ReleaseSession)(s->session);
  for (size_t i = 0; s->names != NULL && i < s->inputs + s->outputs; i++) free(s->names[i]);
  free(s->names);
  free(s);
}

static int describe_tensor(tdm_session *s, tdm_port *p, tdm_error *err) {
  const void *const *api = tdm_api(s->env);
  const OrtTensorInfo *info = NULL; // belongs to the type
  if (tdm_check(s->env, ORT(api, CastTypeInfoToTensorInfo)(p->type, &info), err)) return err->code;
  if (info == NULL) return tdm_fail(err, TDM_UNSUPPORTED, "a tensor without a type");
  if (tdm_check(s->env, ORT(api, GetTensorElementType)(info, &p->dtype), err)) return err->code;
  p->ranked = ORT(api, TensorTypeAndShape_HasShape)(info);
  if (!p->ranked) return 0;
  if (tdm_check(s->env, ORT(api, GetDimensionsCount)(info, &p->rank), err)) return err->code;
  p->dims = calloc(p->rank + 1, sizeof *p->dims);
  p->names = calloc(p->rank + 1, sizeof *p->names);
  if (p->dims == NULL || p->names == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  if (tdm_check(s->env, ORT(api, GetDimensions)(info, p->dims, p->rank), err)) return err->code;
  return tdm_check(s->env, ORT(api, GetSymbolicDimensions)(info, p->names, p->rank), err);
}

int tdm_describe(tdm_session *s, size_t i, tdm_port *p, tdm_error *err) {
  const void *const *api = tdm_api(s->env);
  OrtStatus *status = i < s->inputs ? ORT(api, SessionGetInputTypeInfo)(s->session, i, &p->type)
                                    : ORT(api, SessionGetOutputTypeInfo)(s->session, i - s->inputs, &p->type);
  if (tdm_check(s->env, status, err)) return err->code;
  if (tdm_check(s->env, ORT(api, GetOnnxTypeFromTypeInfo)(p->type, &p->kind), err)) return err->code;
  const int tensor = 1;
  return p->kind == tensor ? describe_tensor(s, p, err) : 0;
}

void tdm_port_free(tdm_session *s, tdm_port *p) {
  free(p->dims);
  free(p->names);
  if (p->type != NULL) ORT(tdm_api(s->env), ReleaseTypeInfo)(p->type);
}
