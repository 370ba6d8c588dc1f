// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a mappable BPF array in this process, read-only but where said.
//
// Owner: whoever reads the map; movable. The kernel writes while we read. Mapping puts every page into the process's
// resident memory at once, so map no more of an array than is read. No threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "result.hpp"

namespace limpet {

class MappedMap {
public:
    MappedMap() = default;
    MappedMap(MappedMap&& other) noexcept;
    MappedMap& operator=(MappedMap&& other) noexcept;
    MappedMap(const MappedMap&) = delete;
    MappedMap& operator=(const MappedMap&) = delete;
    ~MappedMap();

    // Maps the first `length_bytes` (rounded up to whole pages) of the map behind `fd`. `name` is for the message.
    static Result<MappedMap> map(int fd, size_t length_bytes, const std::string& name);
    // The same, for writing too.
    static Result<MappedMap> map_writable(int fd, size_t length_bytes, const std::string& name);

    [[nodiscard]] const std::byte* data() const { return data_; }
    // REQUIRES: made by map_writable.
    [[nodiscard]] std::byte* writable_data() { return data_; }
    [[nodiscard]] size_t length_bytes() const { return length_bytes_; }

private:
    static Result<MappedMap> map_with(int protection, int fd, size_t length_bytes, const std::string& name);

    std::byte* data_ = nullptr;
    size_t length_bytes_ = 0;
};

// Distance between two elements of a BPF array: the value size rounded up to 8.
[[nodiscard]] constexpr uint64_t array_stride(uint32_t value_size_bytes)
{
    return (uint64_t{value_size_bytes} + 7) & ~uint64_t{7};
}

// Reads a number that the kernel may be changing.
template <typename T>
[[nodiscard]] T read_once(const std::byte* place)
{
    return __atomic_load_n(reinterpret_cast<const T*>(place), __ATOMIC_RELAXED);
}

} // namespace limpet
