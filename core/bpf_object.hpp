// SPDX-License-Identifier: Apache-2.0
//
// One BPF object: opened from memory, prepared, loaded, attached; gone from the kernel when destroyed.
//
// Owner: Probe or Tap. Steps: open, prepare (variables, map sizes, shared maps), load, attach. A second load of the same
// object is not possible (libbpf); bpf_loader.hpp opens anew. Single-threaded use, except that const members may be called
// while the object is attached and unchanged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libbpf_owned.hpp"
#include "mapped_map.hpp"
#include "result.hpp"

namespace limpet {

// A map as the kernel sizes it.
struct MapShape {
    uint32_t type = 0; // enum bpf_map_type
    uint32_t key_size_bytes = 0;
    uint32_t value_size_bytes = 0;
    uint32_t entries = 0;
    uint32_t flags = 0;
};

class BpfObject {
public:
    // Parses the ELF bytes, which must stay in place until load() returns, and gives programs in "limpet/…" sections their
    // type. `name` becomes part of the maps' names.
    static Result<BpfObject> open(std::span<const std::byte> bytes, const std::string& name);

    // Before load.
    void disable_program(const std::string& program);
    Done resize_map(const std::string& map, uint32_t entries);
    // Uses the map behind `fd` in place of the own one of that name; both must have one type and key size.
    Done share_map(const std::string& map, int fd);
    // Writes a number into a global variable of 1, 2, 4 or 8 bytes; false when there is none of that name and kind.
    bool set_number(const std::string& variable_name, uint64_t value);
    // The number that a global variable of 1, 2, 4 or 8 bytes begins with; nothing when there is none of that name and kind.
    [[nodiscard]] std::optional<uint64_t> number(const std::string& variable_name) const;
    // The bytes of a global variable's initial value, in .rodata, .data or .bss. Empty when there is none. Later writes of
    // the kernel side do not show here.
    [[nodiscard]] std::span<std::byte> variable(const std::string& name) const;

    // On failure the text holds the program and the end of the verifier's log; failed_program() tells which, if one.
    Done load();
    [[nodiscard]] const std::string& failed_program() const { return failed_program_; }

    // Attaches a program where its section says; cgroup programs to `cgroup_fd`. Programs in "limpet/…" and "syscall"
    // sections are left alone; an iterator is attached and not run.
    Done attach(const std::string& program, int cgroup_fd);
    // Its hook calls it no more; attach() may follow. Nothing when it is not attached.
    void detach(const std::string& program) { links_.erase(program); }
    // After load: a variable in .data or .bss as the kernel side writes it; valid while the object lives. Empty when there is
    // none.
    [[nodiscard]] std::span<std::byte> live_variable(const std::string& name);

    // Runs a program of a "limpet/…" section once, or more times, on a packet without meaning.
    Done run_once(const std::string& program, uint32_t times = 1) const;
    // Runs an attached iterator to its end.
    Done run_iterator(const std::string& program);

    [[nodiscard]] bool has_map(const std::string& map) const;
    [[nodiscard]] bool has_program(const std::string& program) const;
    [[nodiscard]] bool is_iterator(const std::string& program) const;
    [[nodiscard]] bool is_attached(const std::string& program) const { return links_.contains(program); }
    [[nodiscard]] std::vector<std::string> map_names() const;
    [[nodiscard]] std::vector<std::string> program_names() const; // those that are or will be loaded
    // A program in a "limpet/…" section.
    [[nodiscard]] bool is_tail_called(const std::string& program) const;
    // It asks for the time that the agent's lease is measured in (LIMPET_BEGIN), somewhere.
    [[nodiscard]] bool knows_lease(const std::string& program) const;
    // The program in that section, or "" when there is none.
    [[nodiscard]] std::string program_in_section(const std::string& section) const;
    // -1 when there is none or the object is not loaded.
    [[nodiscard]] int map_fd(const std::string& map) const;
    [[nodiscard]] int program_fd(const std::string& program) const;
    [[nodiscard]] uint32_t map_entries(const std::string& map) const;
    [[nodiscard]] uint32_t map_value_size_bytes(const std::string& map) const;
    [[nodiscard]] MapShape map_shape(const std::string& map) const; // all 0 when there is none
    [[nodiscard]] bool is_shared(const std::string& map) const;     // by share_map()
    [[nodiscard]] bool is_mappable(const std::string& map) const;
    // Maps the first `elements` elements of a mappable array; 0: all.
    [[nodiscard]] Result<MappedMap> view(const std::string& map, uint32_t elements = 0) const;

    // What the kernel charges for the maps that are this object's own, and its programs.
    [[nodiscard]] uint64_t kernel_memory_bytes() const;

private:
    explicit BpfObject(OwnedBpfObject object) : object_(std::move(object)) {}

    // Where a global variable lies: its map, and the bytes in it. The map is null when there is none.
    struct Place {
        bpf_map* map = nullptr;
        uint32_t offset_bytes = 0;
        uint32_t size_bytes = 0;
    };
    [[nodiscard]] Place place_of(const std::string& variable) const;
    [[nodiscard]] bpf_map* find_map(const std::string& map) const;
    [[nodiscard]] bpf_program* find_program(const std::string& program) const;

    OwnedBpfObject object_;
    std::map<std::string, OwnedBpfLink> links_;      // by program; after object_, so that they go first
    std::map<std::string, MappedMap> live_sections_; // of global variables, by map
    std::vector<std::string> shared_maps_;
    std::string failed_program_;
};

} // namespace limpet
