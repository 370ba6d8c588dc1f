/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the kernel side of the flood probe tells its user-space half.
 */
#pragma once

#ifdef __cplusplus
#include <cstdint>
#else
#include <linux/types.h>
typedef __u64 uint64_t;
#endif

/* One system call. */
struct flood_event {
    uint64_t number;
    uint64_t padding[7];
};
