// SPDX-License-Identifier: Apache-2.0
//
// Attaches one loaded BPF program where its section says, and tells what stands in the way when it cannot.
//
// Functions without state. Links live as long as their file descriptor, so nothing stays behind when the agent dies.
#pragma once

#include <cstdint>
#include <string>

#include "libbpf_owned.hpp"
#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

// Cgroup programs go to `cgroup_fd`; iterators are attached but not run. An empty link: a program that is never attached
// ("limpet/…", "syscall"). When another's exclusive cgroup program is in the way the message names it and the fix.
[[nodiscard]] Result<OwnedBpfLink> attach_program(const bpf_program* program, int cgroup_fd);

// Attaches one program to a cgroup hook of the caller's choice, for a program that serves several. The link is the result.
[[nodiscard]] Result<OwnedFd> attach_to_hook(int program_fd, const std::string& program, bpf_attach_type hook,
                                             int cgroup_fd);

// Creates an iterator from the link and reads it to its end.
Done read_iterator(int link_fd, const std::string& program);

// Attaches an iterator, reads it to its end and detaches it. A `tgid` limits a task iterator to that process (kernel 6.1,
// f0d74c4da1f0); 0 does not.
Done run_iterator_for(int program_fd, const std::string& program, uint32_t tgid);

} // namespace limpet
