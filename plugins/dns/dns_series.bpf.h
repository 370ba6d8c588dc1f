/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The dns probe's metrics: names and labels.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dns_message.bpf.h"
#include "limpet/histogram.bpf.h"
#include "limpet/series.bpf.h"

/* By number up to 65 (IANA, "Resource Record (RR) TYPEs"), then as type_label. 0: a message without a question. */
#define TYPES                                                                                                          \
    "enum:,A,NS,MD,MF,CNAME,SOA,MB,MG,MR,NULL,WKS,PTR,HINFO,MINFO,MX,TXT,RP,AFSDB,X25,ISDN,RT,NSAP,NSAP-PTR,SIG,KEY,"  \
    "PX,"                                                                                                              \
    "GPOS,AAAA,LOC,NXT,EID,NIMLOC,SRV,ATMA,NAPTR,KX,CERT,A6,DNAME,SINK,OPT,APL,DS,SSHFP,IPSECKEY,RRSIG,NSEC,DNSKEY,"   \
    "DHCID,NSEC3,NSEC3PARAM,TLSA,SMIMEA,TYPE54,HIP,NINFO,RKEY,TALINK,CDS,CDNSKEY,OPENPGPKEY,CSYNC,ZONEMD,SVCB,HTTPS,"  \
    "ANY,other"
/* One more than the number (IANA, "DNS RCODEs"). 0: no answer. */
#define CODES                                                                                                          \
    "enum:,NOERROR,FORMERR,SERVFAIL,NXDOMAIN,NOTIMP,REFUSED,YXDOMAIN,YXRRSET,NXRRSET,NOTAUTH,NOTZONE,DSOTYPENI,"       \
    "RCODE12,"                                                                                                         \
    "RCODE13,RCODE14,RCODE15,BADVERS,BADKEY,BADTIME,BADMODE,BADNAME,BADALG,BADTRUNC,BADCOOKIE,other"
#define ERRORS "enum:,timeout"

enum { LABEL_TYPE_ANY = TYPE_HTTPS + 1, LABEL_TYPE_OTHER };
enum { LABEL_CODE_NONE = 0, LABEL_CODE_OTHER = 25 };
enum { ERROR_NONE = 0, ERROR_TIMEOUT = 1 };

static __always_inline __u8 type_label(__u16 type)
{
    if (type <= TYPE_HTTPS)
        return (__u8)type;
    return type == TYPE_ANY ? LABEL_TYPE_ANY : LABEL_TYPE_OTHER;
}

static __always_inline __u8 code_label(__u16 code)
{
    return code + 1 < LABEL_CODE_OTHER ? (__u8)(code + 1) : LABEL_CODE_OTHER;
}

LIMPET_BOUNDS(duration_bounds, "ns", "duration_bounds");

struct lookup_key {
    LIMPET_LABEL(__u16, workload, "workload", "workload");
    LIMPET_LABEL(__u16, name, "dns_question_name", "text_of:question_texts");
    LIMPET_LABEL(__u16, type, "dns_question_type", TYPES);
    LIMPET_LABEL(__u8, code, "dns_response_code", CODES);
    LIMPET_LABEL(__u8, error, "error_type", ERRORS);
};
_Static_assert(sizeof(struct lookup_key) == 8, "no padding");

struct lookup_row {
    LIMPET_HISTOGRAM(duration, duration_bounds, "dns_lookup_duration_seconds", "ns",
                     "Time from a query to its answer, at the client; to the time limit when there was none.", "");
};

LIMPET_SERIES(dns_lookup, struct lookup_key, struct lookup_row, 512)

struct server_key {
    LIMPET_LABEL(__u16, workload, "workload", "workload");
    LIMPET_LABEL(__u8, type, "dns_question_type", TYPES);
    LIMPET_LABEL(__u8, code, "dns_response_code", CODES);
};
_Static_assert(sizeof(struct server_key) == 4, "no padding");

struct server_row {
    LIMPET_HISTOGRAM(duration, duration_bounds, "dns_server_request_duration_seconds", "ns",
                     "Time from a query to its answer, at the server. Queries without an answer are not counted.", "");
};

LIMPET_SERIES(dns_server, struct server_key, struct server_row, 128)

struct workload_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
};

struct workload_row {
    LIMPET_COUNTER(retries, "dns_lookup_retries_total", "1",
                   "Queries that repeat one without an answer, to the same server from the same socket.", "");
    LIMPET_COUNTER(malformed, "dns_malformed_messages_total", "1", "Messages sent or received that cannot be read.",
                   "");
    LIMPET_COUNTER(truncated, "dns_truncated_responses_total", "1",
                   "Responses sent or received that are marked as truncated.", "");
};

LIMPET_SERIES(dns_workload, struct workload_key, struct workload_row, 256)

static __always_inline struct workload_row *row_of_workload(__u32 workload)
{
    struct workload_key key = {workload};

    return dns_workload_row(dns_workload_find(&key));
}

static __always_inline int count_malformed(__u32 workload)
{
    struct workload_row *row = row_of_workload(workload);

    if (row)
        __sync_fetch_and_add(&row->malformed, 1);
    return 0;
}
