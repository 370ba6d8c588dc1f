// SPDX-License-Identifier: Apache-2.0
//
// Loads and attaches a BPF object on whatever host this is: tries, and does without what the manifest says can be missing.
//
// Feature tests lie at the edges, so nothing is asked beforehand: a program that does not load or attach is left out if
// it is optional, replaced by the next of its group if it has one, and else the reason for failure. Owner of the result:
// Probe or Tap. Single-threaded use.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bpf_object.hpp"
#include "manifest.hpp"

namespace limpet {

struct BpfPlan {
    std::string name;
    std::span<const std::byte> bytes; // needed until it is loaded
    std::vector<ManifestProgram> programs;
    // Sets variables, map sizes and shared maps before load. Called once per attempt.
    std::function<Done(BpfObject&)> prepare;
    bool attach = true;
    int cgroup_fd = -1; // where cgroup programs go
};

// A program that is not there, though the object works.
struct MissingProgram {
    std::string name;
    std::string reason; // why it did not load or attach
    std::string needs;  // the manifest's words: what the host lacks, what is lost
};

struct LoadedBpf {
    BpfObject object;
    std::vector<MissingProgram> missing;  // degraded
    std::vector<MissingProgram> replaced; // alternatives that did not work but another of their group did
};

// Error::error_number is EOPNOTSUPP when the host lacks something that the manifest names in `needs`.
[[nodiscard]] Result<LoadedBpf> load_bpf(const BpfPlan& plan);

} // namespace limpet
