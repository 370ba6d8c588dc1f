/* SPDX-License-Identifier: Apache-2.0
 *
 * limpet/abi.h: the binary interface between the agent and a probe, version 1.
 *
 * Start here if you write a probe in C, Rust, Zig or Go; C++ authors read plugin.hpp, and a probe without
 * user-space code needs neither. The file is plain C11 and includes nothing of limpet.
 *
 * How a probe is found and trusted. A probe is one shared object with
 *   - an ELF section ".limpet.manifest": TOML text, see docs/writing-a-probe.md,
 *   - an ELF section ".limpet.bpf": one BPF ELF object (may be absent),
 *   - exactly one exported symbol, `limpet_plugin_v1` (the name carries the ABI's major number).
 * The agent reads both sections from the file before any code of the probe runs. A probe has no undefined symbol
 * besides those of the C and C++ run-time: all that it needs of the agent comes in through `struct limpet_host`.
 *
 * How the structures grow. Each begins with its own size in bytes, is only ever appended to, and is never embedded by
 * value. A reader uses min(size it was given, size it knows); a member beyond that is absent. New members raise
 * LIMPET_ABI_MINOR; a change of the meaning of an old one raises LIMPET_ABI_MAJOR and renames the entry point.
 *
 * Rules for both sides.
 *   - No exception and no longjmp crosses. No memory is allocated on one side and freed on the other.
 *   - Text is pointer and length, UTF-8, not terminated, and copied by the receiver before it returns.
 *   - Every call names its thread: [control] start-up, reload and stop, never two at once for one instance;
 *     [poll] the ring reader; [scrape] a scrape. The agent never runs two calls of one instance at the same time.
 *   - A probe starts no call after `stop` has returned and keeps no pointer of the host after `destroy`.
 */
#ifndef LIMPET_ABI_H
#define LIMPET_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIMPET_ABI_MAJOR 1
#define LIMPET_ABI_MINOR 5 /* 1: at_scrape in the manifest; 2: name_of; 3: set_variable; 4: if=, 5: plus= in tags */
#define LIMPET_MAGIC 0x4c4d5054u /* "LMPT" */
#define LIMPET_ENTRY_NAME "limpet_plugin_v1"
#define LIMPET_MANIFEST_SECTION ".limpet.manifest"
#define LIMPET_BPF_SECTION ".limpet.bpf"

/* What a call of a probe came to. Unknown values are read as LIMPET_INTERNAL. */
enum limpet_status_code {
    LIMPET_OK = 0,
    LIMPET_BAD_CONFIG = 1,  /* a value of the operator's config cannot be used; the state becomes "failed" */
    LIMPET_UNSUPPORTED = 2, /* this host lacks something; the state becomes "unsupported" */
    LIMPET_RESOURCE = 3,    /* memory, descriptors or a limit ran out; the state becomes "failed" */
    LIMPET_INTERNAL = 4     /* the probe's own mistake; the state becomes "failed" */
};
typedef int32_t limpet_status;

enum limpet_log_level { LIMPET_LOG_DEBUG = 0, LIMPET_LOG_INFO = 1, LIMPET_LOG_WARN = 2, LIMPET_LOG_ERROR = 3 };

/* Borrowed text: valid during the call that it is passed to. `data` may be NULL when `length` is 0. */
struct limpet_text {
    const char *data;
    size_t length;
};

/* One label of a sample: name and value. */
struct limpet_label {
    struct limpet_text name;
    struct limpet_text value;
};

/* A map of the probe's BPF object that is mapped into the agent (BPF_F_MMAPABLE arrays only).
 * `data` stays valid until `stop` returns. The kernel writes while you read: tolerate values a few events apart. */
struct limpet_map_view {
    const void *data;
    uint64_t stride_bytes; /* distance between two elements; the value size rounded up to 8 */
    uint32_t entries;
    uint32_t reserved;
};

/* What the agent does for a probe. The agent owns it; valid from `create` until `destroy` has returned.
 * Every function takes the `host` it was read from as its first argument. None blocks. */
struct limpet_host {
    uint32_t size_bytes;
    uint16_t abi_major;
    uint16_t abi_minor;

    /* [any] Writes one log line, marked with the probe's name. */
    void (*log)(const struct limpet_host *host, int32_t level, struct limpet_text line);

    /* [any] Says why the call that is under way will not return LIMPET_OK. One line, for an operator: what was tried,
     * on what, and how to mend it. The last line of a call counts. */
    void (*fail)(const struct limpet_host *host, struct limpet_text reason);

    /* [control] Config values of `[plugins.<name>]`, checked against the manifest and with its defaults filled in.
     * Returns 0 and leaves `out` alone when the manifest declares no such key of that type, else 1. Durations are in
     * seconds. `out->data` of a text stays valid until the next `configure` or `reconfigure`. */
    int32_t (*config_integer)(const struct limpet_host *host, struct limpet_text key, int64_t *out);
    int32_t (*config_number)(const struct limpet_host *host, struct limpet_text key, double *out);
    int32_t (*config_boolean)(const struct limpet_host *host, struct limpet_text key, int32_t *out);
    int32_t (*config_text)(const struct limpet_host *host, struct limpet_text key, struct limpet_text *out);
    /* Item `index` of a list of texts or numbers (numbers in their shortest decimal form); 0 behind the last. */
    int32_t (*config_item)(const struct limpet_host *host, struct limpet_text key, uint32_t index,
                           struct limpet_text *out);

    /* [control, poll, scrape; from `start` on] A map of the own BPF object, read-only, by its name.
     * Returns 0 when there is no such map or it is not mappable, else 1. */
    int32_t (*map_view)(const struct limpet_host *host, struct limpet_text map, struct limpet_map_view *out);

    /* [scrape] Reports one sample of a metric that the manifest declares (kind gauge or counter). `workload` is a
     * workload's number as the kernel side saw it; its container_id and service_name are added. LIMPET_NO_WORKLOAD adds
     * none. A sample of an undeclared metric is dropped and counted; those over the probe's series limit are added up in one
     * whose labels are all "other", and counted. */
    void (*sample)(const struct limpet_host *host, struct limpet_text metric, uint32_t workload,
                   const struct limpet_label *labels, size_t label_count, double value);

    /* [any] CLOCK_MONOTONIC, nanoseconds: the clock of the kernel side. */
    uint64_t (*now_ns)(const struct limpet_host *host);

    /* Since minor 2: ask for `size_bytes` first.
     * [control, poll, scrape] The name behind an address (16 bytes in network order, IPv4 as ::ffff:a.b.c.d): what a
     * program of this host asked for last when an answer held it, as the dns probe learns it. Returns 0 when none is
     * known, else 1. `out->data` stays valid until the next call of this function. One look-up in a kernel map. */
    int32_t (*name_of)(const struct limpet_host *host, const uint8_t *address, struct limpet_text *out);

    /* Since minor 3.
     * [control; during `configure`] Sets a global variable of the own BPF object, which is loaded afterwards: what the
     * kernel side wants to know in a form that the config does not have. `size_bytes` must be the variable's own; the
     * probe fails otherwise, and where there is no such variable. Returns 0 outside of `configure`, else 1. */
    int32_t (*set_variable)(const struct limpet_host *host, struct limpet_text variable, const void *data,
                            size_t size_bytes);
};

#define LIMPET_NO_WORKLOAD 0xffffffffu

/* What a probe does. The probe owns it; constant, valid for the life of the process. NULL members are not called.
 * `instance` is what `create` stored; the agent does not look into it. */
struct limpet_operations {
    uint32_t size_bytes;
    uint32_t reserved;

    /* [control] Makes the instance. Nothing of the probe's BPF object exists yet. On failure `*instance` is ignored. */
    limpet_status (*create)(const struct limpet_host *host, void **instance);

    /* [control] Frees the instance. Called exactly once for every `create` that returned LIMPET_OK. */
    void (*destroy)(void *instance);

    /* [control] Reads the config. Before the BPF object is loaded. */
    limpet_status (*configure)(void *instance);

    /* [control] The BPF object is loaded and attached; maps can be viewed. */
    limpet_status (*start)(void *instance);

    /* [poll] One record of the ring `limpet_events`. `data` is aligned to 8 and valid during the call. */
    void (*on_event)(void *instance, const void *data, size_t size_bytes);

    /* [scrape] Report samples with host->sample. */
    void (*collect)(void *instance);

    /* [control] Keys that the manifest marks reloadable have changed. On failure the old values stay in force. */
    limpet_status (*reconfigure)(void *instance);

    /* [control] The last call before `destroy` when `start` was called; the BPF object is detached afterwards. */
    void (*stop)(void *instance);
};

/* What `limpet_plugin_v1` returns: constant, valid for the life of the process. */
struct limpet_plugin {
    uint32_t magic;      /* LIMPET_MAGIC */
    uint32_t size_bytes; /* sizeof(struct limpet_plugin) as the probe was compiled */
    uint16_t abi_major;  /* LIMPET_ABI_MAJOR as the probe was compiled */
    uint16_t abi_minor;  /* at most the agent's; a newer one is refused with "needs a newer agent" */
    uint32_t reserved;
    const char *name;                           /* as in the manifest; terminated by 0 */
    const char *version;                        /* as in the manifest; terminated by 0 */
    const struct limpet_operations *operations; /* NULL: the probe has no user-space code */
};

/* The one symbol that a probe exports. Must not fail, allocate or start threads. */
typedef const struct limpet_plugin *(*limpet_entry_fn)(void);

#if defined(__GNUC__)
#define LIMPET_EXPORT __attribute__((visibility("default")))
#else
#define LIMPET_EXPORT
#endif

LIMPET_EXPORT const struct limpet_plugin *limpet_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif
