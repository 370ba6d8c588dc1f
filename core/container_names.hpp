// SPDX-License-Identifier: Apache-2.0
//
// What containers are called, found out by a thread of its own.
//
// Owner: AgentState; want(), find() and version() never wait for anybody. The thread starts with the first container that is
// wanted and sleeps while nothing is due. Everything shared is guarded by mutex_, which it never holds while it reads or waits.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "container_sources.hpp"
#include "owned_fd.hpp"

namespace limpet {

class ContainerNames {
public:
    explicit ContainerNames(const NamesConfig& config);
    ~ContainerNames(); // ends a request that is under way
    ContainerNames(const ContainerNames&) = delete;
    ContainerNames& operator=(const ContainerNames&) = delete;

    // From now on this container's name is looked up, and again every names.refresh while it runs. Once more for one that is
    // known: it may have been started anew.
    void want(const ContainerKey& container);

    // Nobody asks for this container any more.
    void forget(const std::string& id);

    // What is known by now. The name of a container that is gone stays.
    [[nodiscard]] std::optional<CgroupIdentity> find(const std::string& id) const;

    // Changes whenever find() has another answer for somebody.
    [[nodiscard]] uint64_t version() const { return version_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Entry {
        ContainerKind kind = ContainerKind::kNone;
        std::optional<CgroupIdentity> identity;
        Clock::time_point ask_at;
        unsigned misses = 0; // answers in a row without it
    };

    void run();
    [[nodiscard]] Clock::time_point next_due() const;
    // Asks for a batch of those of one kind that are due. False when there are none.
    bool ask_some(std::unique_lock<std::mutex>& lock, ContainerKind kind);
    void take(const std::vector<std::string>& ids, const ContainerSources::Answer& answer);
    void note_absent(Entry& entry, Clock::time_point retry_at) const;

    const NamesConfig config_;
    OwnedFd stop_fd_; // readable once the thread has to end
    ContainerSources sources_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::map<std::string, Entry> entries_; // by id; as many as there are workloads at most
    bool has_to_stop_ = false;
    std::atomic<uint64_t> version_ = 0;
    std::thread thread_;
};

} // namespace limpet
