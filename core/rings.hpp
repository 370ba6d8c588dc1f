// SPDX-License-Identifier: Apache-2.0
//
// The ring buffers of all probes.
//
// Owner: Agent; guarded by its mutex. The kernel side never wakes a reader: drain() runs on a timer and hands every record
// to its probe, whose CPU time that is. A ring in which nothing is costs two loads.
// A flood does not hold the agent up: a drain ends when its CPU time is used up, each ring having had its part.
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

    struct Drained {
        double seconds = 0; // of CPU time
        bool has_ended_early = false;
    };
    // Hands out what has come in since the last time, as far as `seconds` of CPU time suffice.
    Drained drain(double seconds);

    // How full a probe's ring was at most since the last call, 0 to 1; nothing when it has none.
    [[nodiscard]] std::optional<double> take_peak_fill(const Probe& probe);

    // What libbpf hands a ring's events to.
    class Reading {
    public:
        explicit Reading(Probe& probe) : probe_(probe) {}
        void allow(double seconds);
        int take(void* data, size_t size_bytes);
        [[nodiscard]] bool has_ended_early() const { return has_ended_early_; }

    private:
        Probe& probe_;
        double until_ = 0; // of this thread's CPU time
        uint32_t taken_ = 0;
        bool has_ended_early_ = false;
    };

private:
    struct Ring {
        Probe* probe;
        OwnedRingBuffer reader;
        MappedMap positions; // the consumer's page and the producer's
        std::unique_ptr<Reading> reading;
        double peak_fill = 0;
    };
    static Result<Ring> open_ring(Probe& probe);
    static Drained drain(Ring& ring, double seconds);

    std::vector<Ring> rings_;
};

} // namespace limpet
