/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * A probe whose author has forgotten SEC, for bpf_metrics_test. Never loaded into a kernel.
 */
#include <limpet/probe.bpf.h>

struct fork_key {
    LIMPET_LABEL(__u32, cpu, "cpu", "uint");
};

struct fork_row {
    LIMPET_COUNTER(forks, "programless_forks_total", "1", "Processes and threads made", "");
};

LIMPET_SERIES(forks, struct fork_key, struct fork_row, 16)

int on_fork(void *context)
{
    struct fork_key key = {};
    struct fork_row *row = forks_row(forks_find(&key));

    if (row)
        __sync_fetch_and_add(&row->forks, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
