/* The plugin with which Extism is timed: the same two functions as values.c, against Extism's own interface. */
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("extism:host/env"), import_name(name)))
IMPORT("input_length") uint64_t input_length(void);
IMPORT("input_load_u64") uint64_t input_load_u64(uint64_t at);
IMPORT("alloc") uint64_t extism_alloc(uint64_t size);
IMPORT("store_u64") void store_u64(uint64_t at, uint64_t value);
IMPORT("output_set") void output_set(uint64_t at, uint64_t size);

__attribute__((export_name("nothing"))) int32_t nothing(void) { return 0; }

__attribute__((export_name("echo"))) int32_t echo(void) {
	uint64_t n = input_length(), out = extism_alloc(n);
	for (uint64_t i = 0; i + 8 <= n; i += 8) store_u64(out + i, input_load_u64(i));
	output_set(out, n);
	return 0;
}
