//go:build cgo && (linux || darwin)

#include "shim.h"

#include <stdio.h>
#include <string.h>

void tdm_providers(const tdm_env *env, char *out, size_t room) {
  const void *const *api = tdm_api(env);
  tdm_error ignored = {0};
  char **names = NULL;
  int n = 0;
  out[0] = 0;
  if (tdm_check(env, ORT(api, GetAvailableProviders)(&names, &n), &ignored)) return;
  for (int i = 0; i < n; i++) {
    size_t used = strlen(out);
    snprintf(out + used, room - used, "%s%s", i > 0 ? "," : "", names[i]);
  }
  tdm_check(env, ORT(api, ReleaseAvailableProviders)(names, n), &ignored);
}

// row_of finds the row of a provider or takes a new one; the last row also takes what has no room.
static tdm_placed *row_of(tdm_placed *rows, size_t room, size_t *n, const char *provider) {
  for (size_t i = 0; i < *n; i++) {
    if (strncmp(rows[i].provider, provider, sizeof rows[i].provider - 1) == 0) return &rows[i];
  }
  if (*n == room) return &rows[room - 1];
  tdm_placed *row = &rows[(*n)++];
  snprintf(row->provider, sizeof row->provider, "%s", provider);
  row->operators = 0;
  return row;
}

int tdm_placement(const tdm_session *s, tdm_placed *rows, size_t room, size_t *n, tdm_error *err) {
  const void *const *api = tdm_api(s->env);
  const OrtEpAssignedSubgraph *const *graphs = NULL;
  size_t count = 0;
  *n = 0;
  if (tdm_check(s->env, ORT(api, Session_GetEpGraphAssignmentInfo)(s->session, &graphs, &count), err)) return err->code;
  for (size_t i = 0; i < count; i++) {
    const char *provider = NULL;
    const OrtEpAssignedNode *const *nodes = NULL;
    size_t operators = 0;
    if (tdm_check(s->env, ORT(api, EpAssignedSubgraph_GetEpName)(graphs[i], &provider), err) ||
        tdm_check(s->env, ORT(api, EpAssignedSubgraph_GetNodes)(graphs[i], &nodes, &operators), err)) {
      return err->code;
    }
    row_of(rows, room, n, provider)->operators += operators;
  }
  return 0;
}
