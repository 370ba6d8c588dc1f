// SPDX-License-Identifier: Apache-2.0
#include "container_names.hpp"

#include <algorithm>
#include <array>

#include <sys/eventfd.h>

namespace limpet {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kMostMisses = 5; // a runtime may know a container a moment after its first process runs

} // namespace

ContainerNames::ContainerNames(const NamesConfig& config)
    : config_(config), stop_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), sources_(config, stop_fd_.get())
{
}

ContainerNames::~ContainerNames()
{
    {
        const std::lock_guard lock(mutex_);
        has_to_stop_ = true;
    }
    ::eventfd_write(stop_fd_.get(), 1);
    wake_.notify_one();
    if (thread_.joinable())
        thread_.join();
}

void ContainerNames::want(const ContainerKey& container)
{
    if (container.kind == ContainerKind::kNone || container.kind == ContainerKind::kOther)
        return;
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[container.id];
    entry.kind = container.kind;
    entry.ask_at = Clock::now();
    entry.misses = 0;
    if (!thread_.joinable())
        thread_ = std::thread([this] { run(); });
    wake_.notify_one();
}

void ContainerNames::forget(const std::string& id)
{
    const std::lock_guard lock(mutex_);
    entries_.erase(id);
}

std::optional<CgroupIdentity> ContainerNames::find(const std::string& id) const
{
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(id);
    return entry == entries_.end() ? std::nullopt : entry->second.identity;
}

void ContainerNames::run()
{
    std::unique_lock lock(mutex_);
    while (!has_to_stop_) {
        bool has_asked = false;
        for (const ContainerKind kind : {ContainerKind::kDocker, ContainerKind::kPodman, ContainerKind::kKubernetes})
            has_asked = ask_some(lock, kind) || has_asked;
        if (has_asked || has_to_stop_)
            continue;
        if (const Clock::time_point due = next_due(); due == Clock::time_point::max())
            wake_.wait(lock);
        else
            wake_.wait_until(lock, due);
    }
}

ContainerNames::Clock::time_point ContainerNames::next_due() const
{
    Clock::time_point due = Clock::time_point::max();
    for (const auto& [id, entry] : entries_)
        due = std::min(due, entry.ask_at);
    return due;
}

bool ContainerNames::ask_some(std::unique_lock<std::mutex>& lock, ContainerKind kind)
{
    std::vector<std::string> ids;
    const auto now = Clock::now();
    for (const auto& [id, entry] : entries_)
        if (entry.kind == kind && entry.ask_at <= now && ids.size() < ContainerSources::kBatch)
            ids.push_back(id);
    if (ids.empty())
        return false;
    lock.unlock();
    const ContainerSources::Answer answer = sources_.ask(kind, ids);
    lock.lock();
    take(ids, answer);
    return true;
}

void ContainerNames::take(const std::vector<std::string>& ids, const ContainerSources::Answer& answer)
{
    for (const std::string& id : ids) {
        const auto place = entries_.find(id);
        if (place == entries_.end())
            continue; // forgotten meanwhile
        Entry& entry = place->second;
        const auto found = std::find_if(answer.found.begin(), answer.found.end(),
                                        [&](const ContainerSources::Found& item) { return item.id == id; });
        if (found == answer.found.end() || found->identity.container_id.empty()) {
            note_absent(entry, answer.retry_at);
            continue;
        }
        entry.misses = 0;
        entry.ask_at = found->may_change ? Clock::now() + config_.refresh : Clock::time_point::max();
        const bool is_same = entry.identity && entry.identity->container_id == found->identity.container_id &&
                             entry.identity->service_name == found->identity.service_name;
        if (is_same)
            continue;
        entry.identity = found->identity;
        ++version_;
    }
}

// Nobody knows it, or who might could not be asked.
void ContainerNames::note_absent(Entry& entry, Clock::time_point retry_at) const
{
    if (retry_at != Clock::time_point())
        entry.ask_at = retry_at;
    else if (entry.identity || ++entry.misses >= kMostMisses)
        entry.ask_at = Clock::time_point::max(); // removed, or never to be found
    else
        entry.ask_at = Clock::now() + 1s * (1U << entry.misses);
}

} // namespace limpet
