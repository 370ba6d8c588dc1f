/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Stands in for libbpf's header of this name when a parser is compiled for user space, on a little-endian machine.
 */
#pragma once

#define bpf_ntohs(word) __builtin_bswap16(word)
#define bpf_htons(word) __builtin_bswap16(word)
#define bpf_ntohl(word) __builtin_bswap32(word)
#define bpf_htonl(word) __builtin_bswap32(word)
#define bpf_be64_to_cpu(word) __builtin_bswap64(word)
