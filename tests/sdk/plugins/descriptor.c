/* SPDX-License-Identifier: Apache-2.0
 *
 * A descriptor whose ABI numbers are chosen by the build (DESCRIPTOR_MAJOR, DESCRIPTOR_MINOR), for the agent's refusals.
 */
#include <limpet/abi.h>

const struct limpet_plugin *limpet_plugin_v1(void)
{
    static const struct limpet_plugin plugin = {
        .magic = LIMPET_MAGIC,
        .size_bytes = sizeof(plugin),
        .abi_major = DESCRIPTOR_MAJOR,
        .abi_minor = DESCRIPTOR_MINOR,
        .name = LIMPET_PROBE_NAME,
        .version = LIMPET_PROBE_VERSION,
    };

    return &plugin;
}
