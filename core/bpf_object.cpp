// SPDX-License-Identifier: Apache-2.0
#include "bpf_object.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "bpf_attach.hpp"
#include "libbpf_log.hpp"
#include "verifier_log.hpp"

namespace limpet {
namespace {

constexpr std::string_view kOwnSections = "limpet/";

void give_type(bpf_program* program)
{
    if (!std::string_view(bpf_program__section_name(program)).starts_with(kOwnSections))
        return;
    bpf_program__set_type(program, BPF_PROG_TYPE_CGROUP_SKB);
    // the type that the tap is loaded with: programs that call each other must agree in it (from kernel 6.18 on)
    bpf_program__set_expected_attach_type(program, BPF_CGROUP_INET_INGRESS);
}

// "memlock:" of /proc/self/fdinfo/N: bytes.
uint64_t charged_bytes(int fd)
{
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
    for (std::string key; info >> key;) {
        uint64_t bytes = 0;
        if (key == "memlock:" && info >> bytes)
            return bytes;
        info.ignore(4096, '\n');
    }
    return 0;
}

} // namespace

Result<BpfObject> BpfObject::open(std::span<const std::byte> bytes, const std::string& name)
{
    LibbpfLog log;
    bpf_object_open_opts options{};
    options.sz = sizeof(options);
    options.object_name = name.c_str();
    OwnedBpfObject opened(bpf_object__open_mem(bytes.data(), bytes.size(), &options));
    if (!opened)
        return errno_error("cannot read the BPF object of " + name + " (" + log.last_line("no details") + ")");
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, opened.get())
        give_type(program);
    return BpfObject(std::move(opened));
}

void BpfObject::disable_program(const std::string& program)
{
    if (bpf_program* found = find_program(program))
        bpf_program__set_autoload(found, false);
}

Done BpfObject::resize_map(const std::string& map, uint32_t entries)
{
    bpf_map* found = find_map(map);
    if (const int error = found ? bpf_map__set_max_entries(found, entries) : -ENOENT; error < 0)
        return errno_error("cannot set the size of the BPF map " + map, -error);
    return done();
}

Done BpfObject::share_map(const std::string& map, int fd)
{
    bpf_map* found = find_map(map);
    bpf_map_info offered{};
    uint32_t size = sizeof(offered);
    if (!found || bpf_obj_get_info_by_fd(fd, &offered, &size))
        return errno_error("cannot share the BPF map " + map, found ? errno : ENOENT);
    // libbpf takes any map here; what does not fit would show up as nonsense at run time.
    if (offered.type != bpf_map__type(found) || offered.key_size != bpf_map__key_size(found))
        return Error{0, "the BPF map " + map +
                            " differs from the agent's in type or key size; rebuild the probe with "
                            "this agent's SDK headers"};
    if (const int error = bpf_map__reuse_fd(found, fd); error < 0)
        return errno_error("cannot share the BPF map " + map, -error);
    shared_maps_.push_back(map);
    return done();
}

bool BpfObject::set_number(const std::string& variable_name, uint64_t value)
{
    const std::span<std::byte> place = variable(variable_name);
    if (place.size() != 1 && place.size() != 2 && place.size() != 4 && place.size() != 8)
        return false;
    std::memcpy(place.data(), &value, place.size()); // BPF and host share the byte order; we run little-endian only
    return true;
}

std::optional<uint64_t> BpfObject::number(const std::string& variable_name) const
{
    const std::span<const std::byte> place = variable(variable_name);
    if (place.size() != 1 && place.size() != 2 && place.size() != 4 && place.size() != 8)
        return std::nullopt;
    uint64_t value = 0;
    std::memcpy(&value, place.data(), place.size());
    return value;
}

BpfObject::Place BpfObject::place_of(const std::string& variable) const
{
    const btf* types = bpf_object__btf(object_.get());
    const uint32_t count = types ? btf__type_cnt(types) : 0;
    for (uint32_t id = 1; id < count; ++id) {
        const btf_type* section = btf__type_by_id(types, id);
        if (!btf_is_datasec(section))
            continue;
        for (uint32_t i = 0; i < btf_vlen(section); ++i) {
            const btf_var_secinfo& info = btf_var_secinfos(section)[i];
            if (variable == btf__name_by_offset(types, btf__type_by_id(types, info.type)->name_off))
                return {find_map(btf__name_by_offset(types, section->name_off)), info.offset, info.size};
        }
    }
    return {};
}

std::span<std::byte> BpfObject::variable(const std::string& name) const
{
    const Place place = place_of(name);
    size_t size = 0;
    const void* section = place.map ? bpf_map__initial_value(place.map, &size) : nullptr;
    if (!section || place.offset_bytes + place.size_bytes > size)
        return {};
    return {static_cast<std::byte*>(const_cast<void*>(section)) + place.offset_bytes, place.size_bytes};
}

std::span<std::byte> BpfObject::live_variable(const std::string& name)
{
    const Place place = place_of(name);
    if (!place.map)
        return {};
    const std::string map = bpf_map__name(place.map);
    auto section = live_sections_.find(map);
    if (section == live_sections_.end()) {
        Result<MappedMap> mapped = MappedMap::map_writable(bpf_map__fd(place.map), bpf_map__value_size(place.map), map);
        if (!mapped)
            return {};
        section = live_sections_.emplace(map, std::move(*mapped)).first;
    }
    return {section->second.writable_data() + place.offset_bytes, place.size_bytes};
}

Done BpfObject::load()
{
    LibbpfLog log;
    const int error = bpf_object__load(object_.get());
    if (error == 0)
        return done();
    failed_program_ = failed_program_of(log.text());
    return Error{-error, load_failure_text(log.text(), failed_program_, -error)};
}

Done BpfObject::attach(const std::string& program, int cgroup_fd)
{
    bpf_program* found = find_program(program);
    if (!found)
        return Error{ENOENT, "the BPF object has no program " + program};
    Result<OwnedBpfLink> link = attach_program(found, cgroup_fd);
    if (!link)
        return link.error();
    if (!*link)
        return done(); // not a program that is attached
    links_[program] = std::move(*link);
    return done();
}

Done BpfObject::run_once(const std::string& program, uint32_t times) const
{
    const std::array<std::byte, 64> packet{};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = packet.size(),
                .repeat = static_cast<int>(times));
    if (bpf_prog_test_run_opts(program_fd(program), &options))
        return errno_error("cannot run the program " + program);
    return done();
}

Done BpfObject::run_iterator(const std::string& program)
{
    const auto link = links_.find(program);
    if (link == links_.end())
        return Error{ENOENT, "the iterator " + program + " is not attached"};
    return read_iterator(bpf_link__fd(link->second.get()), program);
}

bool BpfObject::is_iterator(const std::string& program) const
{
    const bpf_program* found = find_program(program);
    return found && bpf_program__expected_attach_type(found) == BPF_TRACE_ITER;
}

bool BpfObject::has_map(const std::string& map) const
{
    return find_map(map) != nullptr;
}

bool BpfObject::has_program(const std::string& program) const
{
    return find_program(program) != nullptr;
}

std::vector<std::string> BpfObject::map_names() const
{
    std::vector<std::string> names;
    const bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get())
        names.emplace_back(bpf_map__name(map));
    return names;
}

std::vector<std::string> BpfObject::program_names() const
{
    std::vector<std::string> names;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get())
        if (bpf_program__autoload(program))
            names.emplace_back(bpf_program__name(program));
    return names;
}

bool BpfObject::is_tail_called(const std::string& program) const
{
    const bpf_program* found = find_program(program);
    return found && std::string_view(bpf_program__section_name(found)).starts_with(kOwnSections);
}

bool BpfObject::knows_lease(const std::string& program) const
{
    const bpf_program* found = find_program(program);
    if (!found)
        return false;
    const std::span<const bpf_insn> code(bpf_program__insns(found), bpf_program__insn_cnt(found));
    return std::any_of(code.begin(), code.end(), [](const bpf_insn& instruction) {
        return instruction.code == (BPF_JMP | BPF_CALL) && instruction.src_reg == 0 &&
               instruction.imm == BPF_FUNC_jiffies64;
    });
}

std::string BpfObject::program_in_section(const std::string& section) const
{
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get())
        if (bpf_program__autoload(program) && section == bpf_program__section_name(program))
            return bpf_program__name(program);
    return "";
}

int BpfObject::map_fd(const std::string& map) const
{
    const bpf_map* found = find_map(map);
    return found ? bpf_map__fd(found) : -1;
}

int BpfObject::program_fd(const std::string& program) const
{
    const bpf_program* found = find_program(program);
    return found ? bpf_program__fd(found) : -1;
}

uint32_t BpfObject::map_entries(const std::string& map) const
{
    const bpf_map* found = find_map(map);
    return found ? bpf_map__max_entries(found) : 0;
}

uint32_t BpfObject::map_value_size_bytes(const std::string& map) const
{
    const bpf_map* found = find_map(map);
    return found ? bpf_map__value_size(found) : 0;
}

MapShape BpfObject::map_shape(const std::string& map) const
{
    const bpf_map* found = find_map(map);
    if (!found)
        return {};
    return {static_cast<uint32_t>(bpf_map__type(found)), bpf_map__key_size(found), bpf_map__value_size(found),
            bpf_map__max_entries(found), bpf_map__map_flags(found)};
}

bool BpfObject::is_shared(const std::string& map) const
{
    return std::find(shared_maps_.begin(), shared_maps_.end(), map) != shared_maps_.end();
}

bool BpfObject::is_mappable(const std::string& map) const
{
    const bpf_map* found = find_map(map);
    return found && bpf_map__type(found) == BPF_MAP_TYPE_ARRAY && (bpf_map__map_flags(found) & BPF_F_MMAPABLE);
}

Result<MappedMap> BpfObject::view(const std::string& map, uint32_t elements) const
{
    if (!is_mappable(map))
        return Error{0, "the BPF map " + map + " is not a mappable array (BPF_F_MMAPABLE)"};
    const uint32_t count = elements ? std::min(elements, map_entries(map)) : map_entries(map);
    return MappedMap::map(map_fd(map), count * array_stride(map_value_size_bytes(map)), map);
}

uint64_t BpfObject::kernel_memory_bytes() const
{
    uint64_t total = 0;
    const bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get())
        if (!is_shared(bpf_map__name(map)))
            total += charged_bytes(bpf_map__fd(map));
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get())
        if (bpf_program__fd(program) >= 0)
            total += charged_bytes(bpf_program__fd(program));
    return total;
}

bpf_map* BpfObject::find_map(const std::string& map) const
{
    return bpf_object__find_map_by_name(object_.get(), map.c_str());
}

bpf_program* BpfObject::find_program(const std::string& program) const
{
    return bpf_object__find_program_by_name(object_.get(), program.c_str());
}

} // namespace limpet
