/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * All that the kernel side of a probe needs: `#include <limpet/probe.bpf.h>` first in a .bpf.c, compiled by
 * limpet_add_probe. Each header says what it is for:
 *   kernel_types  the kernel's structs and helpers' types, relocated by CO-RE; no vmlinux.h is needed
 *   tags          LIMPET_LABEL, LIMPET_COUNTER, LIMPET_GAUGE, LIMPET_HISTOGRAM: metrics declared beside the field
 *   stats         counters that every object has (drops, emits, runs)
 *   histogram     LIMPET_BOUNDS, limpet_observe
 *   series        LIMPET_SERIES: tables of counters by label values
 *   emit          LIMPET_RING, limpet_emit: rare events for the user-space half
 * A parser of byte streams includes <limpet/stream.bpf.h> as well; who asks what workload a task is, <limpet/workload.bpf.h>; who
 * looks at sockets, <limpet/sockets.bpf.h>.
 */
#pragma once

#include <limpet/kernel_types.bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <limpet/emit.bpf.h>
#include <limpet/histogram.bpf.h>
#include <limpet/series.bpf.h>
#include <limpet/stats.bpf.h>
#include <limpet/tags.bpf.h>
