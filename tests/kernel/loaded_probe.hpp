// SPDX-License-Identifier: Apache-2.0
//
// A probe's BPF object, from its built shared object, loaded on its own for BPF_PROG_TEST_RUN. Needs root.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <linux/bpf.h>

struct bpf_object;

namespace limpet::test {

// `what` and errno.
std::runtime_error failure(const std::string& what);

// Runs a program once on a packet; throws when it does not return `result`.
void run_program(int program_fd, const std::vector<unsigned char>& packet, const __sk_buff& context, uint32_t result);

class LoadedProbe {
public:
    // Values of global variables, as the agent or the probe's own code would set them.
    using Variables = std::map<std::string, std::string>;

    // Of build/…/plugins/<name>.so. Throws std::runtime_error with the reason.
    explicit LoadedProbe(const std::string& name, const Variables& variables = {});
    ~LoadedProbe();
    LoadedProbe(const LoadedProbe&) = delete;
    LoadedProbe& operator=(const LoadedProbe&) = delete;

    [[nodiscard]] int program_fd(const char* name) const;
    [[nodiscard]] int map_fd(const char* name) const;

    // A counter of limpet_stats, added up over CPUs.
    [[nodiscard]] uint64_t stat(uint32_t index) const;

private:
    std::unique_ptr<bpf_object, void (*)(bpf_object*)> object_;
};

} // namespace limpet::test
