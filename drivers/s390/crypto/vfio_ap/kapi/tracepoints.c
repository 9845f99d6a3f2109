// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints' definitions, and the functions through which kapi/trace.rs
 * calls them.
 */
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include <trace/events/vfio_ap.h>
