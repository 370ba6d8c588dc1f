// SPDX-License-Identifier: Apache-2.0
#include "mapped_map.hpp"

#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace limpet {

MappedMap::MappedMap(MappedMap&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), length_bytes_(std::exchange(other.length_bytes_, 0))
{
}

MappedMap& MappedMap::operator=(MappedMap&& other) noexcept
{
    std::swap(data_, other.data_);
    std::swap(length_bytes_, other.length_bytes_);
    return *this;
}

MappedMap::~MappedMap()
{
    if (data_)
        ::munmap(data_, length_bytes_);
}

Result<MappedMap> MappedMap::map(int fd, size_t length_bytes, const std::string& name)
{
    return map_with(PROT_READ, fd, length_bytes, name);
}

Result<MappedMap> MappedMap::map_writable(int fd, size_t length_bytes, const std::string& name)
{
    return map_with(PROT_READ | PROT_WRITE, fd, length_bytes, name);
}

Result<MappedMap> MappedMap::map_with(int protection, int fd, size_t length_bytes, const std::string& name)
{
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    MappedMap mapped;
    mapped.length_bytes_ = (length_bytes + page - 1) / page * page;
    void* data = ::mmap(nullptr, mapped.length_bytes_, protection, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return errno_error("cannot map the BPF map " + name + " into memory");
    mapped.data_ = static_cast<std::byte*>(data);
    return mapped;
}

} // namespace limpet
