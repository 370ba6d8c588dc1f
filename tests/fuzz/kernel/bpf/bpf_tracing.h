/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Stands in for libbpf's header of this name when a parser is compiled for user space: programs are plain functions.
 */
#pragma once

#define BPF_PROG(name, arguments...) name(arguments)
