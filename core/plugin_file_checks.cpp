// SPDX-License-Identifier: Apache-2.0
#include "plugin_file_checks.hpp"

#include <array>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace limpet {
namespace {

constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;

std::string octal(mode_t mode)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%04o", mode & 07777u);
    return text.data();
}

const char* kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    default:
        return "not a regular file";
    }
}

Error link_error(const std::filesystem::path& path)
{
    std::error_code error;
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    const std::string name = path.string();
    return {0, name + ": is a symbolic link" + (error ? "" : " to " + target.string()) +
                   "; a probe must be the file itself: set `path` to the file that the link points to"};
}

Done check_kind(const std::filesystem::path& path, const struct stat& status)
{
    if (S_ISLNK(status.st_mode))
        return link_error(path);
    if (!S_ISREG(status.st_mode))
        return Error{0, path.string() + ": is " + kind_of(status.st_mode) +
                            "; a probe is a regular file, a shared object built with limpet_add_probe()"};
    return done();
}

bool is_trusted_owner(uid_t owner)
{
    if (owner == 0 || owner == ::geteuid())
        return true;
    struct stat agent{};
    return ::stat("/proc/self/exe", &agent) == 0 && agent.st_uid == owner;
}

Done check_owner_and_mode(const std::filesystem::path& path, const struct stat& status)
{
    if (!is_trusted_owner(status.st_uid))
        return Error{0, path.string() + ": belongs to user " + std::to_string(status.st_uid) +
                            ", not to root or the agent's user; mend it with: chown root " + shell_quoted(path)};
    if ((status.st_mode & kWritableByOthers) != 0)
        return Error{0, path.string() + ": is writable by others than its owner (mode " + octal(status.st_mode) +
                            "); mend it with: chmod go-w " + shell_quoted(path)};
    return done();
}

// Where the sticky bit is set (/tmp), others can add entries but not take one of ours away or put another in its place: such
// a directory passes when the entry in it that leads to the probe has a trusted owner.
Done check_directories_above(const std::filesystem::path& path)
{
    struct stat below{};
    if (::stat(path.c_str(), &below) != 0)
        return errno_error(path.string());
    for (std::filesystem::path at = path.parent_path();; at = at.parent_path()) {
        struct stat status{};
        if (::stat(at.c_str(), &status) != 0)
            return errno_error(path.string() + ": cannot look at the directory " + at.string());
        const bool is_safe_for_ours = (status.st_mode & S_ISVTX) != 0 && is_trusted_owner(below.st_uid);
        if ((status.st_mode & kWritableByOthers) != 0 && !is_safe_for_ours)
            return Error{0, path.string() + ": lies below " + at.string() +
                                ", where others than its owner can write (mode " + octal(status.st_mode) +
                                "); mend it with: chmod go-w " + shell_quoted(at)};
        if (at == at.root_path())
            return done();
        below = status;
    }
}

} // namespace

std::string shell_quoted(const std::filesystem::path& path)
{
    const std::string text = path.string();
    constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,";
    if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos)
        return text;
    std::string result = "'";
    for (const char letter : text)
        result += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
    return result + "'";
}

Result<OwnedFd> open_trusted(const std::filesystem::path& path)
{
    // The directories may be reached through links (/lib -> usr/lib): what counts is where the file lies in truth.
    std::error_code error;
    const std::filesystem::path directory = std::filesystem::canonical(path.parent_path(), error);
    const std::filesystem::path file = error ? path : directory / path.filename();

    // Looked at before it is opened, since opening a device can do things.
    struct stat status{};
    if (::lstat(file.c_str(), &status) != 0)
        return errno_error(file.string());
    if (const Done kind = check_kind(file, status); !kind)
        return kind.error();
    OwnedFd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!fd.is_open())
        return errno == ELOOP ? link_error(file) : errno_error(file.string() + ": cannot be opened");
    if (::fstat(fd.get(), &status) != 0)
        return errno_error(file.string() + ": cannot be looked at");
    if (const Done kind = check_kind(file, status); !kind)
        return kind.error();
    if (const Done owner = check_owner_and_mode(file, status); !owner)
        return owner.error();
    if (const Done above = check_directories_above(file); !above)
        return above.error();
    return fd;
}

} // namespace limpet
