// SPDX-License-Identifier: Apache-2.0
#include "text_file.hpp"

#include <array>

#include <fcntl.h>
#include <sys/stat.h>

#include "owned_fd.hpp"

namespace limpet {

Result<std::string> read_text_file(const std::filesystem::path& path, size_t largest_bytes)
{
    const OwnedFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!fd.is_open())
        return errno_error("cannot be read");
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0)
        return errno_error("cannot be read");
    if (!S_ISREG(status.st_mode))
        return Error{0, S_ISDIR(status.st_mode) ? "is a directory, not a file" : "is not a regular file"};

    std::string text;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t length = ::read(fd.get(), buffer.data(), buffer.size());
        if (length < 0)
            return errno_error("cannot be read");
        if (length == 0)
            return text;
        text.append(buffer.data(), static_cast<size_t>(length));
        if (text.size() > largest_bytes)
            return Error{0, "is larger than " + std::to_string(largest_bytes) + " bytes"};
    }
}

} // namespace limpet
