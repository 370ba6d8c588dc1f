/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Stands in for libbpf's header of this name when a parser is compiled for user space: nothing is relocated.
 */
#pragma once

#define BPF_CORE_READ(from, member) ((from)->member)
#define BPF_CORE_READ_INTO(to, from, member) __builtin_memcpy(to, &(from)->member, sizeof(*(to)))
