/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Rare events to the probe's user-space half, through one ring per probe.
 *
 * LIMPET_RING(64 * 1024) declares the ring `limpet_events`; limpet_emit sends a struct. A reader is never woken: the
 * agent drains the rings on a timer (agent.drain_interval). Emitted, dropped and sampled-out events are counted. An emit
 * costs about five times an in-kernel count: use it for new names, slow and failed requests, never per request.
 */
#pragma once

#include "stats.bpf.h"

/* One event in this many is sent by limpet_emit_sampled; written by the agent. 0 and 1 send all. */
const volatile __u32 limpet_sample_one_in = 1;

#define LIMPET_RING(size_bytes)                                                                                        \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_RINGBUF);                                                                            \
        __uint(max_entries, size_bytes);                                                                               \
    } limpet_events SEC(".maps")

#define limpet_emit(event)                                                                                             \
    do {                                                                                                               \
        if (bpf_ringbuf_output(&limpet_events, (event), sizeof(*(event)), BPF_RB_NO_WAKEUP))                           \
            limpet_count(LIMPET_STAT_DROPPED);                                                                         \
        else                                                                                                           \
            limpet_count(LIMPET_STAT_EMITTED);                                                                         \
    } while (0)

#define limpet_emit_sampled(event)                                                                                     \
    do {                                                                                                               \
        if (limpet_level() >= LIMPET_LEVEL_NO_EVENTS ||                                                                \
            (limpet_sample_one_in > 1 && bpf_get_prandom_u32() % limpet_sample_one_in))                                \
            limpet_count(LIMPET_STAT_SAMPLED_OUT);                                                                     \
        else                                                                                                           \
            limpet_emit(event);                                                                                        \
    } while (0)
