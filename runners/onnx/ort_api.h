//go:build cgo && (linux || darwin)

// The part of ONNX Runtime's C interface that this package calls: a table of functions, of which each has a fixed place
// since the release that added it. TestSlots compares the places below with the header that onnxruntime_go carries.
#ifndef TANDEM_ORT_API_H
#define TANDEM_ORT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtThreadingOptions OrtThreadingOptions;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtValue OrtValue;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtEpAssignedSubgraph OrtEpAssignedSubgraph;
typedef struct OrtEpAssignedNode OrtEpAssignedNode;
typedef struct OrtTensorInfo OrtTensorInfo; // OrtTensorTypeAndShapeInfo

typedef void (*OrtLog)(void *param, int severity, const char *category, const char *id, const char *place, const char *text);

// TDM_API_VERSION is the version of the table that is asked for; every place below is in it.
#define TDM_API_VERSION 24

typedef struct {
  const void *const *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} ort_api_base;

// X(place, result, name, arguments)
#define ORT_FUNCTIONS(X)                                                                                              \
  X(1, int, GetErrorCode, (const OrtStatus *))                                                                        \
  X(2, const char *, GetErrorMessage, (const OrtStatus *))                                                            \
  X(8, OrtStatus *, CreateSessionFromArray,                                                                           \
    (const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession **))                                 \
  X(9, OrtStatus *, Run,                                                                                              \
    (OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t, const char *const *,  \
     size_t, OrtValue **))                                                                                            \
  X(30, OrtStatus *, SessionGetInputCount, (const OrtSession *, size_t *))                                            \
  X(31, OrtStatus *, SessionGetOutputCount, (const OrtSession *, size_t *))                                           \
  X(33, OrtStatus *, SessionGetInputTypeInfo, (const OrtSession *, size_t, OrtTypeInfo **))                           \
  X(34, OrtStatus *, SessionGetOutputTypeInfo, (const OrtSession *, size_t, OrtTypeInfo **))                          \
  X(36, OrtStatus *, SessionGetInputName, (const OrtSession *, size_t, OrtAllocator *, char **))                      \
  X(37, OrtStatus *, SessionGetOutputName, (const OrtSession *, size_t, OrtAllocator *, char **))                     \
  X(39, OrtStatus *, CreateRunOptions, (OrtRunOptions **))                                                            \
  X(41, OrtStatus *, RunOptionsSetRunLogSeverityLevel, (OrtRunOptions *, int))                                        \
  X(46, OrtStatus *, RunOptionsSetTerminate, (OrtRunOptions *))                                                       \
  X(47, OrtStatus *, RunOptionsUnsetTerminate, (OrtRunOptions *))                                                     \
  X(48, OrtStatus *, CreateTensorAsOrtValue, (OrtAllocator *, const int64_t *, size_t, int, OrtValue **))             \
  X(49, OrtStatus *, CreateTensorWithDataAsOrtValue,                                                                  \
    (const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, int, OrtValue **))                               \
  X(51, OrtStatus *, GetTensorMutableData, (OrtValue *, void **))                                                     \
  X(53, OrtStatus *, GetStringTensorDataLength, (const OrtValue *, size_t *))                                         \
  X(54, OrtStatus *, GetStringTensorContent, (const OrtValue *, void *, size_t, size_t *, size_t))                    \
  X(55, OrtStatus *, CastTypeInfoToTensorInfo, (const OrtTypeInfo *, const OrtTensorInfo **))                         \
  X(56, OrtStatus *, GetOnnxTypeFromTypeInfo, (const OrtTypeInfo *, int *))                                           \
  X(60, OrtStatus *, GetTensorElementType, (const OrtTensorInfo *, int *))                                            \
  X(61, OrtStatus *, GetDimensionsCount, (const OrtTensorInfo *, size_t *))                                           \
  X(62, OrtStatus *, GetDimensions, (const OrtTensorInfo *, int64_t *, size_t))                                       \
  X(63, OrtStatus *, GetSymbolicDimensions, (const OrtTensorInfo *, const char **, size_t))                           \
  X(64, OrtStatus *, GetTensorShapeElementCount, (const OrtTensorInfo *, size_t *))                                   \
  X(65, OrtStatus *, GetTensorTypeAndShape, (const OrtValue *, OrtTensorInfo **))                                     \
  X(67, OrtStatus *, GetValueType, (const OrtValue *, int *))                                                         \
  X(69, OrtStatus *, CreateCpuMemoryInfo, (int, int, OrtMemoryInfo **))                                               \
  X(76, OrtStatus *, AllocatorFree, (OrtAllocator *, void *))                                                         \
  X(78, OrtStatus *, GetAllocatorWithDefaultOptions, (OrtAllocator **))                                               \
  X(80, OrtStatus *, GetValue, (const OrtValue *, int, OrtAllocator *, OrtValue **))                                  \
  X(81, OrtStatus *, GetValueCount, (const OrtValue *, size_t *))                                                     \
  X(92, void, ReleaseEnv, (OrtEnv *))                                                                                 \
  X(93, void, ReleaseStatus, (OrtStatus *))                                                                           \
  X(95, void, ReleaseSession, (OrtSession *))                                                                         \
  X(96, void, ReleaseValue, (OrtValue *))                                                                             \
  X(97, void, ReleaseRunOptions, (OrtRunOptions *))                                                                   \
  X(98, void, ReleaseTypeInfo, (OrtTypeInfo *))                                                                       \
  X(99, void, ReleaseTensorTypeAndShapeInfo, (OrtTensorInfo *))                                                       \
  X(120, OrtStatus *, DisablePerSessionThreads, (OrtSessionOptions *))                                                \
  X(121, OrtStatus *, CreateThreadingOptions, (OrtThreadingOptions **))                                               \
  X(122, void, ReleaseThreadingOptions, (OrtThreadingOptions *))                                                      \
  X(125, OrtStatus *, GetAvailableProviders, (char ***, int *))                                                       \
  X(126, OrtStatus *, ReleaseAvailableProviders, (char **, int))                                                      \
  X(147, OrtStatus *, SetGlobalIntraOpNumThreads, (OrtThreadingOptions *, int))                                       \
  X(148, OrtStatus *, SetGlobalInterOpNumThreads, (OrtThreadingOptions *, int))                                       \
  X(149, OrtStatus *, SetGlobalSpinControl, (OrtThreadingOptions *, int))                                             \
  X(151, OrtStatus *, CreateEnvWithCustomLoggerAndGlobalThreadPools,                                                  \
    (OrtLog, void *, int, const char *, const OrtThreadingOptions *, OrtEnv **))                                      \
  X(252, OrtStatus *, GetResizedStringTensorElementBuffer, (OrtValue *, size_t, size_t, char **))                     \
  X(293, OrtStatus *, SessionOptionsSetLoadCancellationFlag, (OrtSessionOptions *, bool))                             \
  X(390, bool, TensorTypeAndShape_HasShape, (const OrtTensorInfo *))                                                  \
  X(407, OrtStatus *, Session_GetEpGraphAssignmentInfo,                                                               \
    (const OrtSession *, const OrtEpAssignedSubgraph *const **, size_t *))                                            \
  X(408, OrtStatus *, EpAssignedSubgraph_GetEpName, (const OrtEpAssignedSubgraph *, const char **))                   \
  X(409, OrtStatus *, EpAssignedSubgraph_GetNodes,                                                                    \
    (const OrtEpAssignedSubgraph *, const OrtEpAssignedNode *const **, size_t *))

#define X(place, result, name, arguments) \
  enum { ort_place_##name = place };      \
  typedef result(*ort_fn_##name) arguments;
ORT_FUNCTIONS(X)
#undef X

// ORT is the function of that name in the table api.
#define ORT(api, name) ((ort_fn_##name)(api)[ort_place_##name])

#endif
