/* SPDX-License-Identifier: Apache-2.0
 *
 * The layout of abi.h as released, on 64-bit machines: LAYOUT(struct, member, offset). Rows are appended with a new minor
 * number; a row that must change means a new major number.
 */
#define LIMPET_LAYOUT(ROW)                                                                                             \
    ROW(limpet_text, data, 0)                                                                                          \
    ROW(limpet_text, length, 8)                                                                                        \
    ROW(limpet_label, name, 0)                                                                                         \
    ROW(limpet_label, value, 16)                                                                                       \
    ROW(limpet_map_view, data, 0)                                                                                      \
    ROW(limpet_map_view, stride_bytes, 8)                                                                              \
    ROW(limpet_map_view, entries, 16)                                                                                  \
    ROW(limpet_map_view, reserved, 20)                                                                                 \
    ROW(limpet_host, size_bytes, 0)                                                                                    \
    ROW(limpet_host, abi_major, 4)                                                                                     \
    ROW(limpet_host, abi_minor, 6)                                                                                     \
    ROW(limpet_host, log, 8)                                                                                           \
    ROW(limpet_host, fail, 16)                                                                                         \
    ROW(limpet_host, config_integer, 24)                                                                               \
    ROW(limpet_host, config_number, 32)                                                                                \
    ROW(limpet_host, config_boolean, 40)                                                                               \
    ROW(limpet_host, config_text, 48)                                                                                  \
    ROW(limpet_host, config_item, 56)                                                                                  \
    ROW(limpet_host, map_view, 64)                                                                                     \
    ROW(limpet_host, sample, 72)                                                                                       \
    ROW(limpet_host, now_ns, 80)                                                                                       \
    ROW(limpet_host, name_of, 88)                                                                                      \
    ROW(limpet_host, set_variable, 96)                                                                                 \
    ROW(limpet_operations, size_bytes, 0)                                                                              \
    ROW(limpet_operations, create, 8)                                                                                  \
    ROW(limpet_operations, destroy, 16)                                                                                \
    ROW(limpet_operations, configure, 24)                                                                              \
    ROW(limpet_operations, start, 32)                                                                                  \
    ROW(limpet_operations, on_event, 40)                                                                               \
    ROW(limpet_operations, collect, 48)                                                                                \
    ROW(limpet_operations, reconfigure, 56)                                                                            \
    ROW(limpet_operations, stop, 64)                                                                                   \
    ROW(limpet_plugin, magic, 0)                                                                                       \
    ROW(limpet_plugin, size_bytes, 4)                                                                                  \
    ROW(limpet_plugin, abi_major, 8)                                                                                   \
    ROW(limpet_plugin, abi_minor, 10)                                                                                  \
    ROW(limpet_plugin, reserved, 12)                                                                                   \
    ROW(limpet_plugin, name, 16)                                                                                       \
    ROW(limpet_plugin, version, 24)                                                                                    \
    ROW(limpet_plugin, operations, 32)
