// SPDX-License-Identifier: Apache-2.0
//
// The programs of one BPF object that are not attached while little is to be done (LIMPET_RESTS_AT, stats.bpf.h): where a hook
// is called as often as that of thread switches, a program that returns at once is dear too.
//
// Owner: Probe; guarded by the agent's mutex.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf_object.hpp"
#include "result.hpp"

namespace limpet {

class RestingPrograms {
public:
    RestingPrograms() = default;

    // Of an object that is loaded and attached.
    static RestingPrograms in(const BpfObject& object);

    // Detaches what rests at this level and attaches what does not. What fails is left for the next call; the error is the last one.
    Done follow(uint32_t level, BpfObject& object, int cgroup_fd) const;
    // A program that rests at `before` runs at `now`.
    [[nodiscard]] bool any_goes_on(uint32_t before, uint32_t now) const;
    // The names of those that rest at this level.
    [[nodiscard]] std::vector<std::string> at(uint32_t level) const;

private:
    struct Program {
        std::string name;
        uint32_t level = 0; // from this one on it rests
    };
    std::vector<Program> programs_;
};

} // namespace limpet
