// SPDX-License-Identifier: Apache-2.0
//
// How the numbers of workloads whose cgroup is gone are given back. The kernel side: limpet/workload.bpf.h.
#include "workloads.hpp"

#include <algorithm>

#include <bpf/bpf.h>

#include "container_names.hpp"

namespace limpet {
namespace {

constexpr uint32_t kGenerations = 63; // of the 64 in 16 bits; the last one is LIMPET_WORKLOAD_SELF's

} // namespace

bool Workloads::is_forgotten(uint32_t number) const
{
    return generations_[index_of(number)] != number / kLimit;
}

bool Workloads::has_ended(uint32_t number) const
{
    const uint32_t index = index_of(number);
    if (index == 0)
        return false;
    return is_forgotten(number) || (index < known_.size() && known_[index] && known_[index]->ended_at);
}

void Workloads::find_ended(std::chrono::steady_clock::time_point now)
{
    for (std::optional<Known>& known : known_)
        if (known && !known->ended_at && paths_.is_gone(known->record))
            known->ended_at = now;
}

Done Workloads::forget(std::chrono::steady_clock::time_point now, std::chrono::milliseconds after,
                       const std::vector<bool>& has_rows)
{
    if (free_fd_ < 0)
        return done();
    while (!given_back_.empty()) {
        const uint32_t number = given_back_.back() + generations_[given_back_.back()] * kLimit;
        if (bpf_map_update_elem(free_fd_, nullptr, &number, BPF_ANY))
            return errno_error("cannot give back the number of a workload");
        given_back_.pop_back();
    }
    for (uint32_t index = 1; index < known_.size(); ++index)
        if (known_[index] && known_[index]->ended_at && now - *known_[index]->ended_at >= after && !has_rows[index])
            forget_one(index);
    return done();
}

// From here on nobody finds the number, and whoever has kept it is nobody's.
void Workloads::forget_one(uint32_t index)
{
    std::byte* const place = records_.writable_data() + index * sizeof(WorkloadRecord);
    (void)bpf_map_delete_elem(index_fd_, place); // a record begins with its key
    __atomic_store_n(reinterpret_cast<uint32_t*>(place + offsetof(WorkloadRecord, used)), 0, __ATOMIC_RELEASE);
    generations_[index] = (generations_[index] + 1) % kGenerations;
    given_back_.push_back(index);
    const std::string container = known_[index]->identity.cgroup.container.id;
    known_[index].reset();
    if (container_names_ && !is_container_of_another(index, container))
        container_names_->forget(container);
}

bool Workloads::is_container_of_another(uint32_t index, const std::string& id) const
{
    return std::any_of(known_.begin(), known_.end(), [&](const std::optional<Known>& known) {
        return known && &known - known_.data() != index && known->identity.cgroup.container.id == id;
    });
}

} // namespace limpet
