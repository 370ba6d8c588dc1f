/* SPDX-License-Identifier: Apache-2.0
 *
 * A probe in plain C11 against abi.h alone: no CMake package, no C++, no BPF. It counts the calls that it gets.
 * Build: cc -std=c11 -fPIC -shared -fvisibility=hidden -Wl,-z,defs -I<include> plain_c.c -o plain_c.so
 */
#include <limpet/abi.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST                                                                                                       \
    "name = \"plain_c\"\n"                                                                                             \
    "version = \"1.0.0\"\n"                                                                                            \
    "abi = \"1.0\"\n"                                                                                                  \
    "license = \"Apache-2.0\"\n"                                                                                       \
    "description = \"Counts its own calls\"\n"                                                                         \
    "[[config]]\n"                                                                                                     \
    "key = \"step\"\n"                                                                                                 \
    "type = \"integer\"\n"                                                                                             \
    "default = 1\n"                                                                                                    \
    "min = 1\n"                                                                                                        \
    "max = 1000\n"                                                                                                     \
    "help = \"Counted per call\"\n"                                                                                    \
    "[[metric]]\n"                                                                                                     \
    "name = \"plain_c_calls_total\"\n"                                                                                 \
    "kind = \"counter\"\n"                                                                                             \
    "unit = \"1\"\n"                                                                                                   \
    "help = \"Calls of the probe\"\n"                                                                                  \
    "labels = [\"call\"]\n"

/* Without the 0 at the end: the section is text. */
__attribute__((section(LIMPET_MANIFEST_SECTION), used)) static const char manifest[sizeof(MANIFEST) - 1] = MANIFEST;

struct plain_c {
    const struct limpet_host *host;
    int64_t step;
    int64_t events;
    int64_t scrapes;
};

static struct limpet_text text(const char *string)
{
    return (struct limpet_text){string, strlen(string)};
}

static limpet_status create(const struct limpet_host *host, void **instance)
{
    struct plain_c *self = calloc(1, sizeof(*self));

    if (!self) {
        host->fail(host, text("out of memory"));
        return LIMPET_RESOURCE;
    }
    self->host = host;
    *instance = self;
    return LIMPET_OK;
}

static void destroy(void *instance)
{
    free(instance);
}

static limpet_status configure(void *instance)
{
    struct plain_c *self = instance;

    return self->host->config_integer(self->host, text("step"), &self->step) ? LIMPET_OK : LIMPET_INTERNAL;
}

static void on_event(void *instance, const void *data, size_t size_bytes)
{
    struct plain_c *self = instance;

    (void)data;
    (void)size_bytes;
    self->events += self->step;
}

static void report(const struct limpet_host *host, const char *call, int64_t count)
{
    const struct limpet_label label = {text("call"), text(call)};

    host->sample(host, text("plain_c_calls_total"), LIMPET_NO_WORKLOAD, &label, 1, (double)count);
}

static void collect(void *instance)
{
    struct plain_c *self = instance;

    self->scrapes += self->step;
    report(self->host, "on_event", self->events);
    report(self->host, "collect", self->scrapes);
}

const struct limpet_plugin *limpet_plugin_v1(void)
{
    static const struct limpet_operations operations = {
        .size_bytes = sizeof(operations),
        .create = create,
        .destroy = destroy,
        .configure = configure,
        .on_event = on_event,
        .collect = collect,
    };
    static const struct limpet_plugin plugin = {
        .magic = LIMPET_MAGIC,
        .size_bytes = sizeof(plugin),
        .abi_major = LIMPET_ABI_MAJOR,
        .abi_minor = LIMPET_ABI_MINOR,
        .name = "plain_c",
        .version = "1.0.0",
        .operations = &operations,
    };

    return &plugin;
}
