/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Declarations that travel in the BPF object's BTF: which struct member is a label, which is a metric.
 *
 * A tag is attached to the member that it describes, so that a metric is declared once, beside the field that counts
 * it. The agent reads the tags before it loads the object; libbpf blanks them for kernels that do not know them (before
 * 5.16). Format: "limpet:<kind>|<field>|<field>…"; a text must not contain '|'.
 */
#pragma once

#define LIMPET_TAG(text) __attribute__((btf_decl_tag("limpet:" text)))

/* A label: member of a key struct. `decoder` turns the bytes into text:
 *   "workload"   the workload's number; becomes the two labels container_id and service_name (label name is ignored)
 *   "uint"       unsigned decimal
 *   "nonzero"    unsigned decimal, no label at all for 0
 *   "ip"         16 bytes, IPv4 as ::ffff:a.b.c.d; written "a.b.c.d" or "2001:db8::1"; no label for 16 zero bytes
 *   "address"    struct limpet_address; written "a.b.c.d:80" or "[2001:db8::1]:80"
 *   "text"       bytes up to the first 0; bytes that are not valid UTF-8 become U+FFFD
 *   "text_of:m"  a number: the text in that element of the probe's array m, up to the first 0; "other" for 0, no
 *                label for an empty text
 *   "enum:A,B,"  the list's item of that index, no label for an empty item, the decimal number behind the list's end
 */
#define LIMPET_LABEL(type, member, name, decoder) type member LIMPET_TAG("label|" name "|" decoder)
#define LIMPET_LABEL_BYTES(size, member, name, decoder) __u8 member[size] LIMPET_TAG("label|" name "|" decoder)

/* A metric: member of a row struct. `unit` is the unit that the kernel side counts in, and decides the exported one:
 *   "ns" is exported in seconds (divided by 1e9), "us" in seconds (divided by 1e6), "bytes" and "1" as they are.
 * `options` is "" or a list separated by ';':
 *   "without=<label>"        the label is left out; rows that differ in nothing else are added up
 *   "with=<label>:<value>"   a constant label; several members of one row may be one metric, told apart by it
 *   "per=<member>"           a gauge that is divided by that member of the row: a mean. No sample where that is 0
 *   "while=<member>"         no sample where that member (it may be the metric's own) is 0; not for histograms
 *   "plus=<member>"          a histogram to which that one of the row is added, a struct limpet_histogram without a tag of its
 *                            own: for values that two histograms have in common, which are so counted once
 *   "if=<variable>"          there is no such metric where that number in read-only data is 0. A table without metrics has
 *                            no rows but the first two
 */
#define LIMPET_COUNTER(member, name, unit, help, options)                                                              \
    __u64 member LIMPET_TAG("counter|" name "|" unit "|" help "|" options)
#define LIMPET_GAUGE(member, name, unit, help, options)                                                                \
    __s64 member LIMPET_TAG("gauge|" name "|" unit "|" help "|" options)
/* After SEC(".maps"): the map has one element where that number in read-only data is 0. */
#define LIMPET_MAP_IF(variable) LIMPET_TAG("if|" #variable)

/* `bounds` names the variable made by LIMPET_BOUNDS that holds the histogram's bucket bounds. */
#define LIMPET_HISTOGRAM(member, bounds, name, unit, help, options)                                                    \
    struct limpet_histogram member LIMPET_TAG("histogram|" name "|" unit "|" help "|" options "|" #bounds)
