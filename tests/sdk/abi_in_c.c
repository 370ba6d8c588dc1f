/* SPDX-License-Identifier: Apache-2.0
 *
 * abi.h as a C11 compiler sees it; built with -std=c11 -pedantic-errors. abi_test.cpp compares.
 */
#include <limpet/abi.h>

#include "abi_layout.h"

#define OFFSET(type, member, offset) offsetof(struct type, member),

extern const size_t limpet_offsets_in_c[];
const size_t limpet_offsets_in_c[] = {LIMPET_LAYOUT(OFFSET)};
