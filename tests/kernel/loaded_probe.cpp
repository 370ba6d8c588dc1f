// SPDX-License-Identifier: Apache-2.0
#include "loaded_probe.hpp"

#include <string_view>

#include <fcntl.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "manifest.hpp"
#include "owned_fd.hpp"

namespace limpet::test {

std::runtime_error failure(const std::string& what)
{
    return std::runtime_error(errno_error(what).text);
}

void run_program(int program_fd, const std::vector<unsigned char>& packet, const __sk_buff& packet_context,
                 uint32_t result)
{
    __sk_buff context = packet_context;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(),
                .data_size_in = static_cast<uint32_t>(packet.size()), .ctx_in = &context, .ctx_size_in = sizeof context,
                .repeat = 1);
    if (bpf_prog_test_run_opts(program_fd, &options))
        throw failure("BPF_PROG_TEST_RUN");
    if (options.retval != result)
        throw std::runtime_error("the program returned " + std::to_string(options.retval));
}

namespace {

// In read-only data, before load.
void set_variable(bpf_object* object, const std::string& name, const std::string& value)
{
    const btf* types = bpf_object__btf(object);
    const btf_type* section = btf__type_by_id(types, static_cast<uint32_t>(btf__find_by_name(types, ".rodata")));
    size_t size = 0;
    void* rodata = const_cast<void*>(bpf_map__initial_value(bpf_object__find_map_by_name(object, ".rodata"), &size));
    for (uint32_t i = 0; i < btf_vlen(section); ++i) {
        const btf_var_secinfo& info = btf_var_secinfos(section)[i];
        if (name != btf__name_by_offset(types, btf__type_by_id(types, info.type)->name_off))
            continue;
        if (info.size != value.size())
            throw std::runtime_error(name + " has " + std::to_string(info.size) + " bytes");
        value.copy(static_cast<char*>(rodata) + info.offset, value.size());
        return;
    }
    throw std::runtime_error("no variable " + name);
}

} // namespace

LoadedProbe::LoadedProbe(const std::string& name, const Variables& variables) : object_(nullptr, bpf_object__close)
{
    const std::string path = LIMPET_BUILD_DIR "/plugins/" + name + ".so";
    const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    auto sections = read_plugin_sections(file.get(), path);
    if (!sections)
        throw std::runtime_error(sections.error().text);
    object_.reset(bpf_object__open_mem(sections->bpf_object.data(), sections->bpf_object.size(), nullptr));
    if (!object_)
        throw failure("open the BPF object of " + path);
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get()) {
        if (std::string_view(bpf_program__section_name(program)).starts_with("limpet/"))
            bpf_program__set_type(program, BPF_PROG_TYPE_CGROUP_SKB);
    }
    for (const char* rows : {"limpet_stats", "limpet_tap_stats"})
        if (bpf_map* map = bpf_object__find_map_by_name(object_.get(), rows))
            bpf_map__set_max_entries(map, static_cast<uint32_t>(libbpf_num_possible_cpus()));
    for (const auto& [variable, value] : variables)
        set_variable(object_.get(), variable, value);
    if (bpf_object__load(object_.get()))
        throw failure("load the BPF object of " + path + " (needs root)");
}

LoadedProbe::~LoadedProbe() = default;

int LoadedProbe::program_fd(const char* name) const
{
    return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), name));
}

int LoadedProbe::map_fd(const char* name) const
{
    return bpf_map__fd(bpf_object__find_map_by_name(object_.get(), name));
}

uint64_t LoadedProbe::stat(uint32_t index) const
{
    constexpr uint32_t kStatWords = 32; // LIMPET_STAT_COUNT
    uint64_t total = 0;

    for (uint32_t cpu = 0; cpu < static_cast<uint32_t>(libbpf_num_possible_cpus()); ++cpu) {
        uint64_t values[kStatWords] = {};
        if (bpf_map_lookup_elem(map_fd("limpet_stats"), &cpu, values))
            throw failure("read limpet_stats");
        total += values[index];
    }
    return total;
}

} // namespace limpet::test
