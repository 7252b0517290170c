//go:build cgo && (linux || darwin)

#include "shim.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ORT_STRING = 8, MAX_DEPTH = 8 };

static uint32_t load32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store(uint8_t *p, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> (8 * i));
}

// extend makes room for n more bytes and returns where they go, NULL when there is no memory.
static uint8_t *extend(tdm_buffer *b, size_t n, tdm_error *err) {
  if (n > SIZE_MAX / 4 - b->size) {
    tdm_fail(err, TDM_NO_MEMORY, "out of memory");
    return NULL;
  }
  if (b->size + n > b->cap) {
    size_t cap = b->cap * 2 > b->size + n ? b->cap * 2 : b->size + n;
    uint8_t *data = realloc(b->data, cap);
    if (data == NULL) {
      tdm_fail(err, TDM_NO_MEMORY, "out of memory");
      return NULL;
    }
    b->data = data;
    b->cap = cap;
  }
  uint8_t *at = b->data + b->size;
  b->size += n;
  return at;
}

static int put(tdm_buffer *b, uint64_t v, int bytes, tdm_error *err) {
  uint8_t *at = extend(b, (size_t)bytes, err);
  if (at != NULL) store(at, v, bytes);
  return err->code;
}

// tdm_fill_strings makes a tensor of strings from offsets and bytes, which Go has checked.
int tdm_fill_strings(tdm_env *env, const tdm_tensor *in, OrtValue **out, tdm_error *err) {
  const void *const *api = tdm_api(env);
  if (tdm_check(env, ORT(api, CreateTensorAsOrtValue)(tdm_allocator(env), in->dims, in->rank, ORT_STRING, out), err)) return err->code;
  size_t n = 1;
  for (size_t i = 0; i < in->rank; i++) n *= (size_t)in->dims[i];
  const uint8_t *offsets = (const uint8_t *)in->caller_data, *body = offsets + 4 * (n + 1);
  for (size_t i = 0; i < n; i++) {
    size_t from = load32(offsets + 4 * i), to = load32(offsets + 4 * (i + 1));
    char *room = NULL;
    if (tdm_check(env, ORT(api, GetResizedStringTensorElementBuffer)(*out, i, to - from, &room), err)) return err->code;
    memcpy(room, body + from, to - from);
  }
  return 0;
}

// tdm_pack_strings appends a tensor of strings as offsets and bytes.
int tdm_pack_strings(tdm_env *env, const OrtValue *value, size_t n, tdm_buffer *out, tdm_error *err) {
  const void *const *api = tdm_api(env);
  size_t total = 0;
  if (n > 0 && tdm_check(env, ORT(api, GetStringTensorDataLength)(value, &total), err)) return err->code;
  if (total > UINT32_MAX || n > UINT32_MAX / 8) return tdm_fail(err, TDM_UNSUPPORTED, "%zu strings of %zu bytes are too many", n, total);
  uint8_t *at = extend(out, 4 * (n + 1) + total, err);
  if (at == NULL) return err->code;
  if (n == 0) {
    store(at, 0, 4);
    return 0;
  }
  size_t *starts = calloc(n, sizeof *starts);
  if (starts == NULL) return tdm_fail(err, TDM_NO_MEMORY, "out of memory");
  if (tdm_check(env, ORT(api, GetStringTensorContent)(value, at + 4 * (n + 1), total, starts, n), err) == 0) {
    for (size_t i = 0; i < n; i++) store(at + 4 * i, starts[i], 4);
    store(at + 4 * n, total, 4);
  }
  free(starts);
  return err->code;
}

// walk_tensor appends: 1, u8 dtype, u32 rank, i64 dims, u64 bytes, data. Strings stand as offsets and bytes.
static int walk_tensor(tdm_env *env, OrtValue *value, tdm_buffer *out, tdm_error *err) {
  tdm_tensor t = {0};
  size_t elements = 0;
  if (tdm_shape_of(env, value, &t, &elements, err)) goto done;
  if (put(out, 1, 1, err) || put(out, (uint64_t)t.dtype, 1, err) || put(out, t.rank, 4, err)) goto done;
  for (size_t i = 0; i < t.rank; i++) {
    if (put(out, (uint64_t)t.dims[i], 8, err)) goto done;
  }
  size_t head = out->size;
  if (put(out, 0, 8, err)) goto done;
  if (t.dtype == ORT_STRING) {
    if (tdm_pack_strings(env, value, elements, out, err)) goto done;
  } else if (elements > 0) {
    size_t bytes = elements * tdm_element_size(t.dtype);
    void *data = NULL;
    if (bytes == 0) {
      tdm_fail(err, TDM_UNSUPPORTED, "data type %d is not carried", t.dtype);
      goto done;
    }
    if (tdm_check(env, ORT(tdm_api(env), GetTensorMutableData)(value, &data), err)) goto done;
    uint8_t *at = extend(out, bytes, err);
    if (at == NULL) goto done;
    memcpy(at, data, bytes);
  }
  store(out->data + head, out->size - head - 8, 8);
done:
  free(t.dims);
  return err->code;
}

// tdm_walk appends a value: a tensor as above; a sequence as 2, u64 count, values; a map as 3, its keys' and its values'
// tensor.
int tdm_walk(tdm_env *env, const OrtValue *value, int depth, tdm_buffer *out, tdm_error *err) {
  const void *const *api = tdm_api(env);
  const int tensor = 1, sequence = 2, map = 3;
  int kind = 0;
  if (depth > MAX_DEPTH) return tdm_fail(err, TDM_UNSUPPORTED, "it nests more than %d deep", MAX_DEPTH);
  if (tdm_check(env, ORT(api, GetValueType)(value, &kind), err)) return err->code;
  if (kind == tensor) return walk_tensor(env, (OrtValue *)value, out, err);
  if (kind != sequence && kind != map) return tdm_fail(err, TDM_UNSUPPORTED, "it is of kind %d", kind);
  size_t count = 2;
  if (kind == sequence && tdm_check(env, ORT(api, GetValueCount)(value, &count), err)) return err->code;
  if (put(out, (uint64_t)kind, 1, err) || (kind == sequence && put(out, count, 8, err))) return err->code;
  if (count > INT_MAX) return tdm_fail(err, TDM_UNSUPPORTED, "it has %zu elements", count);
  for (size_t i = 0; i < count && err->code == 0; i++) {
    OrtValue *part = NULL;
    if (tdm_check(env, ORT(api, GetValue)(value, (int)i, tdm_allocator(env), &part), err)) break;
    tdm_walk(env, part, depth + 1, out, err);
    ORT(api, ReleaseValue)(part);
  }
  return err->code;
}
