// SPDX-License-Identifier: Apache-2.0
//
// A probe's shared object on disk: opened so that nobody but its owner can have changed it, read before it is run.
//
// Owner: Probe. A PluginFile owns the descriptor; a PluginLibrary keeps the code mapped for the life of the process,
// since libraries are never unloaded. Single-threaded use.
#pragma once

#include <filesystem>
#include <string>

#include <boost/dll/shared_library.hpp>

#include "limpet/abi.h"
#include "manifest.hpp"
#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

struct PluginFile {
    std::filesystem::path path; // absolute
    OwnedFd fd;
    Manifest manifest;
    std::vector<std::byte> bpf_object;
};

// Opens and checks a probe: O_NOFOLLOW, regular file, owned by root, the agent's user or the owner of the agent's
// executable, not writable by group or others, nor any directory above it (one with the sticky bit, such as /tmp, passes
// when what leads to the probe has a trusted owner); SHA-256 when `sha256` is not empty; then reads and parses its
// sections. Every rule has its own message: the path, the rule, the command that mends it.
[[nodiscard]] Result<PluginFile> open_plugin(const std::filesystem::path& path, const std::string& sha256);

// Refuses another ABI: a major that is not ours ("built for another ABI") and a minor above ours ("needs a newer
// agent"). `who` names the probe's file in the message.
[[nodiscard]] Done check_abi(const std::string& who, uint16_t abi_major, uint16_t abi_minor);

// The mapped code of a probe and its checked descriptor.
struct PluginLibrary {
    OwnedFd fd; // keeps the name /proc/self/fd/N taken: the dynamic linker knows libraries by name
    boost::dll::shared_library library; // dies after `plugin`
    const limpet_plugin* plugin = nullptr;
};

// Maps the library from the checked descriptor (/proc/self/fd/N; RTLD_NOW | RTLD_LOCAL) and checks its descriptor:
// magic, ABI major and minor, name and version as in the manifest. Undefined symbols are named in the message. A
// library that is refused after it was mapped stays mapped.
[[nodiscard]] Result<PluginLibrary> load_plugin(const PluginFile& file);

// Gives the library up for good: the mapping and its descriptor stay until the process ends. The only right end of a
// PluginLibrary in the agent: unmapping code that has thread-local objects, or that someone still points to, is not
// safe. Returns the library's descriptor, valid from then on.
const limpet_plugin* keep_mapped(PluginLibrary library);

} // namespace limpet
