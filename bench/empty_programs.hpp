// SPDX-License-Identifier: Apache-2.0
//
// BPF programs that do nothing: what costs are held against. They are gone when their descriptors and links are.
#pragma once

#include <string>

#include <linux/bpf.h>

#include "owned_fd.hpp"

namespace limpet::bench {

// Throws with errno's text.
[[noreturn]] void fail(const std::string& what);
// `fd`, or fail().
OwnedFd checked(int fd, const std::string& what);

// `return 1`, the verdict that lets a packet pass, for a hook of cgroup_skb.
OwnedFd load_empty(bpf_attach_type hook);
// `return 0` on a tracepoint, as SEC("tp_btf/NAME").
OwnedFd load_empty_on_tracepoint(const std::string& tracepoint);

// Links. To the root of cgroup2, beside the programs of others.
OwnedFd attach_to_root(const OwnedFd& program, bpf_attach_type hook);
OwnedFd attach_to_tracepoint(const OwnedFd& program);

} // namespace limpet::bench
