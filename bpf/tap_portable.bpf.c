/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap for Linux before 6.2. See tap_context.bpf.h.
 */
#define LIMPET_TAP_PORTABLE
#include "tap.bpf.c"
