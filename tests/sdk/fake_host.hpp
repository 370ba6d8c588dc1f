// SPDX-License-Identifier: Apache-2.0
//
// An agent in the test's own process: hands a probe its config and maps, and keeps what the probe says. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <limpet/abi.h>

namespace limpet::test {

struct Sample {
    std::string metric;
    uint32_t workload = 0;
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;

    bool operator==(const Sample&) const = default;
};

// The functions of the table find their FakeHost by the `host` that they are given, its base.
struct FakeHost : limpet_host {
    FakeHost();

    std::map<std::string, int64_t> integers;
    std::map<std::string, double> numbers;
    std::map<std::string, bool> booleans;
    std::map<std::string, std::string> texts;
    std::map<std::string, std::vector<std::string>> lists;
    std::map<std::string, limpet_map_view> maps;
    std::map<std::vector<uint8_t>, std::string> names; // by address of 16 bytes
    uint64_t clock_ns = 0;

    // What the probe has said; written through the const host of the C interface.
    mutable std::string failure;
    mutable std::vector<std::string> log_lines;
    mutable std::vector<Sample> samples;
    mutable std::map<std::string, std::string> variables;
};

} // namespace limpet::test
