// SPDX-License-Identifier: Apache-2.0
#include "bpf_attach.hpp"

#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "libbpf_log.hpp"
#include "owned_fd.hpp"

namespace limpet {
namespace {

bool is_cgroup_program(bpf_prog_type type)
{
    switch (type) {
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_CGROUP_SYSCTL:
    case BPF_PROG_TYPE_CGROUP_DEVICE:
    case BPF_PROG_TYPE_SOCK_OPS:
        return true;
    default:
        return false;
    }
}

bool is_never_attached(const bpf_program* program)
{
    return std::string_view(bpf_program__section_name(program)).starts_with("limpet/") ||
           bpf_program__type(program) == BPF_PROG_TYPE_SYSCALL;
}

std::string name_of_program(uint32_t id)
{
    const OwnedFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (!fd.is_open() || bpf_obj_get_info_by_fd(fd.get(), &info, &size) || info.name[0] == '\0')
        return "without a name (id " + std::to_string(id) + ")";
    return "\"" + std::string(info.name) + "\" (id " + std::to_string(id) + ", loaded by uid " +
           std::to_string(info.created_by_uid) + ")";
}

std::string path_of(int directory_fd)
{
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(directory_fd), error);
    return error ? "<cgroup2 mount>" : path.string();
}

// A program attached without BPF_F_ALLOW_MULTI keeps everybody else away from its cgroup and its children.
std::string exclusive_program_text(bpf_attach_type attach_type, int cgroup_fd)
{
    std::array<uint32_t, 64> ids{};
    uint32_t count = ids.size();
    uint32_t flags = 0;
    if (bpf_prog_query(cgroup_fd, attach_type, 0, &flags, ids.data(), &count) || count == 0 ||
        (flags & BPF_F_ALLOW_MULTI))
        return "";
    const char* known_hook = libbpf_bpf_attach_type_str(attach_type);
    const std::string hook = known_hook ? known_hook : "<hook>";
    return "another program holds the root cgroup's hook " + hook + " for itself: " + name_of_program(ids[0]) +
           ", attached without BPF_F_ALLOW_MULTI. Let its owner attach it with that flag or by bpf_link, or remove "
           "it: " +
           "bpftool cgroup detach " + path_of(cgroup_fd) + " " + hook + " id " + std::to_string(ids[0]);
}

Error cgroup_error(const std::string& program, bpf_attach_type attach_type, int cgroup_fd, int error_number)
{
    const std::string exclusive = error_number == EPERM ? exclusive_program_text(attach_type, cgroup_fd) : "";
    const std::string what = "cannot attach " + program + " to the cgroup root";
    return exclusive.empty() ? errno_error(what, error_number) : Error{error_number, what + ": " + exclusive};
}

Result<OwnedBpfLink> attach_to_cgroup(const bpf_program* program, int cgroup_fd)
{
    LibbpfLog log;
    OwnedBpfLink link(bpf_program__attach_cgroup(program, cgroup_fd));
    if (link)
        return link;
    return cgroup_error(bpf_program__name(program), bpf_program__expected_attach_type(program), cgroup_fd, errno);
}

} // namespace

Result<OwnedBpfLink> attach_program(const bpf_program* program, int cgroup_fd)
{
    if (is_never_attached(program))
        return OwnedBpfLink();
    if (is_cgroup_program(bpf_program__type(program)))
        return attach_to_cgroup(program, cgroup_fd);
    LibbpfLog log;
    OwnedBpfLink link(bpf_program__attach(program));
    if (link)
        return link;
    const int error_number = errno;
    return errno_error(std::string("cannot attach ") + bpf_program__name(program) + " (section " +
                           bpf_program__section_name(program) + "; " + log.last_line("no details") + ")",
                       error_number);
}

Result<OwnedFd> attach_to_hook(int program_fd, const std::string& program, bpf_attach_type hook, int cgroup_fd)
{
    OwnedFd link(bpf_link_create(program_fd, cgroup_fd, hook, nullptr));
    if (link.is_open())
        return link;
    return cgroup_error(program, hook, cgroup_fd, errno);
}

Done read_iterator(int link_fd, const std::string& program)
{
    const OwnedFd iterator(bpf_iter_create(link_fd));
    if (!iterator.is_open())
        return errno_error("cannot run the iterator " + program);
    std::array<char, 4096> ignored{};
    for (;;) {
        const ssize_t count = ::read(iterator.get(), ignored.data(), ignored.size());
        if (count == 0)
            return done();
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return errno_error("cannot read the iterator " + program);
    }
}

Done run_iterator_for(int program_fd, const std::string& program, uint32_t tgid)
{
    bpf_iter_link_info scope{};
    scope.task.pid = tgid;
    LIBBPF_OPTS(bpf_link_create_opts, options);
    if (tgid != 0) {
        options.iter_info = &scope;
        options.iter_info_len = sizeof(scope);
    }
    const OwnedFd link(bpf_link_create(program_fd, 0, BPF_TRACE_ITER, &options));
    if (!link.is_open())
        return errno_error("cannot attach the iterator " + program);
    return read_iterator(link.get(), program);
}

} // namespace limpet
