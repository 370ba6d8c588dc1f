// SPDX-License-Identifier: Apache-2.0
#include "network_namespaces.hpp"

#include <cctype>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include "owned_fd.hpp"

namespace limpet {
namespace {

ino_t namespace_of(const std::filesystem::path& process)
{
    struct stat status{};
    return ::stat((process / "ns/net").c_str(), &status) ? 0 : status.st_ino;
}

std::vector<OwnedFd> other_network_namespaces(size_t limit)
{
    std::vector<OwnedFd> found;
    std::set<ino_t> known = {0, namespace_of("/proc/self")};
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; entry != end && !error;
         entry.increment(error)) {
        const std::filesystem::path& process = entry->path();
        if (found.size() >= limit)
            break;
        if (!std::isdigit(static_cast<unsigned char>(process.filename().string()[0])) ||
            !known.insert(namespace_of(process)).second)
            continue;
        OwnedFd opened(::open((process / "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
        if (opened.is_open())
            found.push_back(std::move(opened));
    }
    return found;
}

} // namespace

Done run_in_other_network_namespaces(size_t limit, const std::function<Done()>& body)
{
    const std::vector<OwnedFd> namespaces = other_network_namespaces(limit);
    if (namespaces.empty())
        return done();
    Done result = done();
    std::thread([&] {
        for (const OwnedFd& one : namespaces) {
            if (::setns(one.get(), CLONE_NEWNET))
                result = errno_error("cannot enter a network namespace");
            else
                result = body();
            if (!result)
                return;
        }
    }).join();
    return result;
}

} // namespace limpet
