//go:build cgo

#ifndef TANDEM_PULSE_H
#define TANDEM_PULSE_H

#include <stdint.h>

// tdm_beat has every core beat each period until d from now, both in nanoseconds. It returns 0, or what went wrong as errno has it. The
// period of the first call holds. Calls may overlap.
int tdm_beat(int64_t d, int64_t period);

#endif
