//go:build cgo && (linux || darwin)

// The shim between Go and ONNX Runtime: what onnxruntime_go has no way for (docs/adr/003-onnx-shim.md). Every function that
// can fail returns 0 for success and fills in err otherwise.
#ifndef TANDEM_SHIM_H
#define TANDEM_SHIM_H

#include "ort_api.h"

// Error codes of our own, beside ONNX Runtime's, which are 1 to 99.
enum {
  TDM_NO_LIBRARY = 100, // the library cannot be opened, or is none
  TDM_OLD_LIBRARY = 101,
  TDM_NO_MEMORY = 102,
  TDM_UNSUPPORTED = 103,
};

typedef struct {
  int code;
  char text[2048];
} tdm_error;

// The environment: one a process, never closed.
typedef struct tdm_env tdm_env;

int tdm_open(const char *library, int threads, tdm_env **out, tdm_error *err);
const char *tdm_version(const tdm_env *env);

// tdm_trim gives free memory of malloc's back to the system, where the C library can.
void tdm_trim(const tdm_env *env);

typedef struct {
  int severity; // 0 verbose to 4 fatal
  uint64_t lost; // lines that were dropped before this one
  char place[128];
  char text[1024];
} tdm_line;

// tdm_log_waiting tells how many log lines wait. tdm_log_next takes the oldest; it returns false when there is none.
uint32_t tdm_log_waiting(const tdm_env *env);
bool tdm_log_next(tdm_env *env, tdm_line *line);

// A loaded model. options is an OrtSessionOptions; it is read, not kept.
typedef struct {
  tdm_env *env;
  OrtSession *session;
  size_t inputs, outputs;
  char **names; // the inputs', then the outputs'
} tdm_session;

int tdm_share_threads(tdm_env *env, void *options, tdm_error *err);
void tdm_cancel_load(tdm_env *env, void *options);
int tdm_load(tdm_env *env, void *options, const void *model, size_t size, tdm_session **out, tdm_error *err);
void tdm_unload(tdm_session *session);

// tdm_providers writes the names of the execution providers that the library was built with, separated by commas.
void tdm_providers(const tdm_env *env, char *out, size_t room);

// How many of a model's operators an execution provider runs.
typedef struct {
  char provider[64];
  size_t operators;
} tdm_placed;

// tdm_placement fills rows, at most room of them, for a session whose options record the assignment.
int tdm_placement(const tdm_session *session, tdm_placed *rows, size_t room, size_t *n, tdm_error *err);

// What the model says of one of its inputs or outputs.
typedef struct {
  int kind;  // ONNXType: 1 tensor, 2 sequence, 3 map
  int dtype; // of a tensor
  bool ranked;
  size_t rank;
  int64_t *dims;      // -1 where open
  const char **names; // owned by the type
  OrtTypeInfo *type;
} tdm_port;

// tdm_describe fills port for input or output i, counted through the inputs and then the outputs.
int tdm_describe(tdm_session *session, size_t i, tdm_port *port, tdm_error *err);
void tdm_port_free(tdm_session *session, tdm_port *port);

// What to do with an output.
enum {
  TDM_ADOPT = 0, // hand out what ONNX Runtime allocated; strings packed into memory of malloc's
  TDM_BIND = 1,  // write into the caller's memory
  TDM_WALK = 2,  // sequences and maps: walk into memory of malloc's
};

// One input or output of a run. For an input and a bound output the caller sets dtype, rank, dims and its memory; that
// address is an integer because Go writes it: Go's collector must not take what an earlier run left here for a pointer of its
// own. For the other outputs the run sets dtype, rank, dims, data and size; data lies in value, or is malloc's when value is
// NULL.
typedef struct {
  int how;
  int dtype;
  size_t rank;
  size_t size;
  uintptr_t caller_data;
  OrtValue *value;
  void *data;
  int64_t *dims; // the shape, with room for dims_cap dimensions: tdm_reserve makes more
  size_t dims_cap;
} tdm_tensor;

// The state of one run, used again for the next.
typedef struct {
  tdm_session *session;
  OrtRunOptions *options;
  tdm_tensor *tensors; // the inputs, then the outputs
  OrtValue **values;
  uint32_t log_waiting;
  size_t at; // the tensor that err is about, or inputs + outputs
  tdm_error err;
} tdm_call;

int tdm_call_new(tdm_session *session, tdm_call **out, tdm_error *err);
void tdm_call_free(tdm_call *call);

bool tdm_reserve(tdm_tensor *tensor, size_t rank);

// tdm_run runs the model once. When it fails, nothing is left to be released.
int tdm_run(tdm_call *call);
// tdm_terminate makes a run in progress, and the next ones until tdm_rearm, end early. Any thread may call it.
void tdm_terminate(tdm_call *call);
void tdm_rearm(tdm_call *call);

void tdm_release_value(tdm_env *env, OrtValue *value);

// Internal to the shim.
typedef struct {
  uint8_t *data;
  size_t size, cap;
} tdm_buffer;

const void *const *tdm_api(const tdm_env *env);
OrtAllocator *tdm_allocator(const tdm_env *env);
const OrtMemoryInfo *tdm_memory(const tdm_env *env);
const OrtEnv *tdm_ort(const tdm_env *env);
size_t tdm_element_size(int dtype);
int tdm_fail(tdm_error *err, int code, const char *format, ...);
int tdm_check(const tdm_env *env, OrtStatus *status, tdm_error *err);
int tdm_shape_of(tdm_env *env, const OrtValue *value, tdm_tensor *t, size_t *elements, tdm_error *err);
int tdm_fill_strings(tdm_env *env, const tdm_tensor *in, OrtValue **out, tdm_error *err);
int tdm_pack_strings(tdm_env *env, const OrtValue *value, size_t elements, tdm_buffer *out, tdm_error *err);
int tdm_walk(tdm_env *env, const OrtValue *value, int depth, tdm_buffer *out, tdm_error *err);

#endif
