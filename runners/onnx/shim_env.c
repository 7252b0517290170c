//go:build cgo && (linux || darwin)

#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_LINES = 64 };

struct tdm_env {
  const void *const *api;
  const char *version;
  OrtEnv *ort;
  OrtAllocator *allocator;
  OrtMemoryInfo *memory;

  pthread_mutex_t mu; // mu guards the following; waiting is also read without it
  tdm_line lines[LOG_LINES];
  uint32_t oldest;
  uint32_t waiting;
  uint64_t lost;
};

const void *const *tdm_api(const tdm_env *env) { return env->api; }
OrtAllocator *tdm_allocator(const tdm_env *env) { return env->allocator; }
const OrtMemoryInfo *tdm_memory(const tdm_env *env) { return env->memory; }
const OrtEnv *tdm_ort(const tdm_env *env) { return env->ort; }
const char *tdm_version(const tdm_env *env) { return env->version; }

void tdm_trim(const tdm_env *env) {
  (void)env;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

int tdm_fail(tdm_error *err, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  err->code = code;
  return code;
}

// tdm_check moves a status into err and frees it.
int tdm_check(const tdm_env *env, OrtStatus *status, tdm_error *err) {
  if (status == NULL) return 0;
  int code = ORT(env->api, GetErrorCode)(status);
  tdm_fail(err, code == 0 ? 1 : code, "%s", ORT(env->api, GetErrorMessage)(status));
  ORT(env->api, ReleaseStatus)(status);
  return err->code;
}

// keep_line is ONNX Runtime's log function; any of its threads may call it. Lines wait in a ring until Go takes them, so
// that no foreign thread enters Go; when it is full the newest are dropped and counted.
static void keep_line(void *param, int severity, const char *category, const char *id, const char *place, const char *text) {
  (void)category;
  (void)id;
  tdm_env *env = param;
  pthread_mutex_lock(&env->mu);
  if (env->waiting == LOG_LINES) {
    env->lost++;
  } else {
    tdm_line *line = &env->lines[(env->oldest + env->waiting) % LOG_LINES];
    line->severity = severity;
    line->lost = env->lost;
    env->lost = 0;
    snprintf(line->place, sizeof line->place, "%s", place == NULL ? "" : place);
    snprintf(line->text, sizeof line->text, "%s", text == NULL ? "" : text);
    __atomic_store_n(&env->waiting, env->waiting + 1, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&env->mu);
}

uint32_t tdm_log_waiting(const tdm_env *env) { return __atomic_load_n(&env->waiting, __ATOMIC_ACQUIRE); }

bool tdm_log_next(tdm_env *env, tdm_line *line) {
  pthread_mutex_lock(&env->mu);
  bool any = env->waiting > 0;
  if (any) {
    *line = env->lines[env->oldest];
    env->oldest = (env->oldest + 1) % LOG_LINES;
    __atomic_store_n(&env->waiting, env->waiting - 1, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&env->mu);
  return any;
}

static int open_library(const char *library, tdm_env *env, tdm_error *err) {
  // Official builds send telemetry to their maker, with an id that they keep in a file, unless this is set before they are loaded.
  // What OrtApi has to turn it off comes too late: the first event is that of the start.
  if (setenv("ORT_DISABLE_TELEMETRY", "1", 1) != 0) return tdm_fail(err, TDM_NO_MEMORY, "turn telemetry off: %s", strerror(errno));
  // The handle is never closed: ONNX Runtime's threads and thread-local state outlive any moment at which it could be.
  void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
  if (handle == NULL) return tdm_fail(err, TDM_NO_LIBRARY, "%s", dlerror());
  const ort_api_base *(*get_base)(void) = (const ort_api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
  if (get_base == NULL) return tdm_fail(err, TDM_NO_LIBRARY, "%s is not ONNX Runtime: it has no OrtGetApiBase", library);
  const ort_api_base *base = get_base();
  env->version = base->get_version();
  env->api = base->get_api(TDM_API_VERSION);
  if (env->api == NULL) {
    return tdm_fail(err, TDM_OLD_LIBRARY, "%s is ONNX Runtime %s, 1.%d or newer is needed", library, env->version, TDM_API_VERSION);
  }
  return 0;
}

static int create_env(tdm_env *env, int threads, tdm_error *err) {
  const void *const *api = env->api;
  OrtThreadingOptions *pools = NULL;
  if (tdm_check(env, ORT(api, CreateThreadingOptions)(&pools), err)) return err->code;
  if (!tdm_check(env, ORT(api, SetGlobalIntraOpNumThreads)(pools, threads), err) &&
      !tdm_check(env, ORT(api, SetGlobalInterOpNumThreads)(pools, 1), err) &&
      !tdm_check(env, ORT(api, SetGlobalSpinControl)(pools, 0), err)) {
    const int warning = 2;
    tdm_check(env, ORT(api, CreateEnvWithCustomLoggerAndGlobalThreadPools)(keep_line, env, warning, "tandem", pools, &env->ort), err);
  }
  ORT(api, ReleaseThreadingOptions)(pools);
  return err->code;
}

int tdm_open(const char *library, int threads, tdm_env **out, tdm_error *err) {
  tdm_env *env = calloc(1, sizeof *env);
  if (env == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  pthread_mutex_init(&env->mu, NULL);
  const int arena = 1, default_kind = 0;
  if (open_library(library, env, err) || create_env(env, threads, err) ||
      tdm_check(env, ORT(env->api, GetAllocatorWithDefaultOptions)(&env->allocator), err) ||
      tdm_check(env, ORT(env->api, CreateCpuMemoryInfo)(arena, default_kind, &env->memory), err)) {
    // ONNX Runtime may have kept the log function and with it env: that little is left behind.
    if (env->ort == NULL) free(env);
    return err->code;
  }
  *out = env;
  return 0;
}
