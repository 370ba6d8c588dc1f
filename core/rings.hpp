// SPDX-License-Identifier: Apache-2.0
//
// The ring buffers of all probes.
//
// Owner: Agent; guarded by its mutex. The kernel side never wakes a reader: drain() runs on a timer and hands every record
// to its probe, whose CPU time that is. A ring in which nothing is costs two loads.
#pragma once

#include <memory>
#include <optional>
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

    // How full a probe's ring was at most since the last call, 0 to 1; nothing when it has none.
    [[nodiscard]] std::optional<double> take_peak_fill(const Probe& probe);

private:
    struct Ring {
        Probe* probe;
        OwnedRingBuffer reader;
        MappedMap positions; // the consumer's page and the producer's
        double peak_fill = 0;
    };
    static Result<Ring> open_ring(Probe& probe);

    std::vector<Ring> rings_;
};

} // namespace limpet
