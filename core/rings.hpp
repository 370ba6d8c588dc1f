// SPDX-License-Identifier: Apache-2.0
//
// The ring buffers of all probes behind one reader.
//
// Owner: Agent; guarded by its mutex. The kernel side never wakes a reader: drain() runs on a timer and hands every record
// to its probe.
#pragma once

#include <memory>
#include <vector>

#include "libbpf_owned.hpp"
#include "probe.hpp"
#include "result.hpp"

namespace limpet {

class Rings {
public:
    // Of the probes that have a ring. Made anew whenever a probe starts or stops; the probes must outlive it.
    static Result<Rings> open(const std::vector<std::unique_ptr<Probe>>& probes);

    // Hands out what has come in since the last time.
    void drain();

private:
    OwnedRingBuffer reader_;
};

} // namespace limpet
