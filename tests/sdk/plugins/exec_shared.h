/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the kernel side of the exec probes tells their user-space half.
 */
#pragma once

#ifdef __cplusplus
#include <cstdint>
#else
#include <linux/types.h>
typedef __u32 uint32_t;
typedef __u64 uint64_t;
#endif

/* One exec. */
struct exec_event {
    uint64_t fork_to_exec_ns;
    uint32_t tgid;
    uint32_t padding;
    char command[16];
};
