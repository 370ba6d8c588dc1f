// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <limpet/abi.h>

#include "abi_layout.h"

extern "C" const size_t limpet_offsets_in_c[];

namespace {

struct Row {
    const char* member;
    size_t released;
    size_t in_cxx;
};
#define LAYOUT_ROW(type, member, offset) {#type "." #member, offset, offsetof(type, member)},
constexpr Row kRows[] = {LIMPET_LAYOUT(LAYOUT_ROW)};

} // namespace

TEST_CASE("every member of the ABI stands where it was released, in C and in C++")
{
    size_t index = 0;
    for (const Row& row : kRows) {
        INFO(row.member);
        CHECK(row.in_cxx == row.released);
        CHECK(limpet_offsets_in_c[index++] == row.released);
    }
}

TEST_CASE("the structures of minor 2 have the size that they were released with")
{
    CHECK(sizeof(limpet_text) == 16);
    CHECK(sizeof(limpet_label) == 32);
    CHECK(sizeof(limpet_map_view) == 24);
    if (LIMPET_ABI_MINOR <= 5) {
        CHECK(sizeof(limpet_host) == 104);
        CHECK(sizeof(limpet_operations) == 72);
        CHECK(sizeof(limpet_plugin) == 40);
    }
}

TEST_CASE("abi.h can be read in one sitting: fewer than 400 lines")
{
    std::ifstream file(LIMPET_SOURCE_DIR "/sdk/include/limpet/abi.h");
    size_t lines = 0;
    for (std::string line; std::getline(file, line);)
        ++lines;
    CHECK(lines > 0);
    CHECK(lines < 400);
}
