// SPDX-License-Identifier: Apache-2.0
//
// A BPF object that the build has made, as the bytes that the agent would find in a probe.
#pragma once

#include <cstddef>
#include <fstream>
#include <vector>

inline std::vector<std::byte> contents_of(const char* path)
{
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    std::vector<std::byte> bytes(static_cast<size_t>(file.tellg()));
    file.seekg(0).read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
}
