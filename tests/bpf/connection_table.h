/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's connection table in user space. What two CPUs do at once is written as steps, or done by two threads.
 */
#ifndef LIMPET_TESTS_CONNECTION_TABLE_H
#define LIMPET_TESTS_CONNECTION_TABLE_H

#include <linux/types.h>

#include "limpet/connection.h"

#ifdef __cplusplus
extern "C" {
#endif

void clear_table(void);
void let_a_second_pass(void);
/* As the tap opens it; `alias`: the number + 1 of the slot that it stands for, or 0. */
struct limpet_connection *open_connection(__u64 cookie, __u32 alias);
/* As the tap finds it for a segment. */
struct limpet_connection *find_connection(__u64 cookie);
void close_connection(__u64 cookie);
/* How many slots hold it: one at most. */
__u32 ways_of(__u64 cookie);
__u32 number_of(const struct limpet_connection *connection);
__u64 displaced_at_work(void);

#ifdef __cplusplus
}
#endif

#endif
