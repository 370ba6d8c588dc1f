/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Work that comes with time and not with a packet: one program in SEC(LIMPET_TICK), `int program(struct __sk_buff *)`,
 * which the agent runs about once a second and before each scrape. It may look at the probe's maps and count, which
 * user space cannot; the packet that it is given means nothing. It returns 0.
 */
#pragma once

#define LIMPET_TICK "limpet/tick"
