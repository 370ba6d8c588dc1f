/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * One mistake of every kind, for bpf_metrics_test. Never loaded into a kernel.
 */
#include <limpet/probe.bpf.h>

struct wrong_key {
    LIMPET_LABEL(__u32, number, "le", "uint");
    LIMPET_LABEL(__u32, word, "word", "roman");
    LIMPET_LABEL(__u32, address, "address", "ip");
    LIMPET_LABEL_BYTES(12, text, "text", "text_of:texts");
    LIMPET_LABEL(__u16, first, "twice", "uint");
    LIMPET_LABEL(__u32, second, "twice", "uint"); /* padding before it */
};

struct wrong_row {
    LIMPET_COUNTER(count, "wrong_things", "1", "A counter without _total.", "");
    LIMPET_GAUGE(gauge, "wrong_gauge_total", "1", "A gauge with it.", "");
    LIMPET_COUNTER(seconds, "wrong_time_total", "ns", "A unit that the name does not tell.", "");
    LIMPET_COUNTER(unit, "wrong_unit_total", "miles", "A unit that does not exist.", "");
    LIMPET_COUNTER(silent, "wrong_silent_total", "1", "", "");
    LIMPET_COUNTER(name, "wrong-name_total", "1", "A name with a hyphen.", "");
    LIMPET_COUNTER(option, "wrong_option_total", "1", "Options.", "without=nothing;sideways=yes");
    LIMPET_COUNTER(sometimes, "wrong_sometimes_total", "1", "There if nobody is.", "if=nobody");
    LIMPET_COUNTER(mean, "wrong_mean_total", "1", "A counter that is a mean.", "per=count");
    LIMPET_GAUGE(lonely, "wrong_lonely", "1", "Divided by nothing.", "per=nobody");
    LIMPET_GAUGE(narrowed, "wrong_narrowed", "1", "There while something narrow is.", "while=narrow");
    LIMPET_HISTOGRAM(boundless, no_bounds, "wrong_delay_seconds", "ns", "Bounds that nobody declared.", "plus=count");
    LIMPET_COUNTER(reserved, "limpet_wrong_total", "1", "A name of the agent's.", "");
    LIMPET_COUNTER(lines, "wrong_lines_total", "1", "Two\nlines.", "");
    LIMPET_COUNTER(double_label, "wrong_double_total", "1", "A constant named as a label is.", "with=twice:x");
    LIMPET_COUNTER(first_twin, "wrong_twin_total", "1", "Twins.", "");
    LIMPET_COUNTER(second_twin, "wrong_twin_total", "1", "Twins.", "");
    LIMPET_COUNTER(liar, "wrong_twin_total", "1", "Other help.", "with=side:other");
    __u32 narrow LIMPET_TAG("counter|wrong_narrow_total|1|Not 64 bits.|");
    __u32 short_tag LIMPET_TAG("counter|wrong_short_total");
};

LIMPET_SERIES(wrong, struct wrong_key, struct wrong_row, 64)

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec)
{
    struct wrong_key key = {};
    struct wrong_row *row = wrong_row(wrong_find(&key));

    if (row)
        __sync_fetch_and_add(&row->count, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
