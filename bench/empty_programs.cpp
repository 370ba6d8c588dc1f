// SPDX-License-Identifier: Apache-2.0
#include "empty_programs.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <stdexcept>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "host_checks.hpp"

namespace limpet::bench {
namespace {

OwnedFd load(bpf_prog_type type, const char* name, int verdict, const bpf_prog_load_opts& options)
{
    const bpf_insn nothing[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = verdict},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    };
    return checked(bpf_prog_load(type, name, "GPL", std::data(nothing), std::size(nothing), &options),
                   "cannot load an empty program");
}

} // namespace

void fail(const std::string& what)
{
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

OwnedFd checked(int fd, const std::string& what)
{
    if (fd < 0)
        fail(what);
    return OwnedFd(fd);
}

OwnedFd load_empty(bpf_attach_type hook)
{
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = hook);
    return load(BPF_PROG_TYPE_CGROUP_SKB, hook == BPF_CGROUP_INET_EGRESS ? "empty_egress" : "empty_ingress", 1,
                options);
}

OwnedFd load_empty_on_tracepoint(const std::string& tracepoint)
{
    const int type = libbpf_find_vmlinux_btf_id(tracepoint.c_str(), BPF_TRACE_RAW_TP);
    if (type < 0)
        throw std::runtime_error("this kernel has no tracepoint " + tracepoint);
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP,
                .attach_btf_id = static_cast<uint32_t>(type));
    return load(BPF_PROG_TYPE_TRACING, "empty_tp", 0, options);
}

OwnedFd attach_to_root(const OwnedFd& program, bpf_attach_type hook)
{
    const std::filesystem::path root = read_host_facts({}).cgroup_root;
    const OwnedFd cgroup =
        checked(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "cannot open cgroup2's root");
    return checked(bpf_link_create(program.get(), cgroup.get(), hook, nullptr), "cannot attach an empty program");
}

OwnedFd attach_to_tracepoint(const OwnedFd& program)
{
    return checked(bpf_raw_tracepoint_open(nullptr, program.get()), "cannot attach an empty program");
}

} // namespace limpet::bench
