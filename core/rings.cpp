// SPDX-License-Identifier: Apache-2.0
#include "rings.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <utility>

#include "libbpf_log.hpp"
#include "thread_time.hpp"

namespace limpet {
namespace {

constexpr int kLookEvery = 16; // events: at the clock

int hand_over(void* reading, void* data, size_t size_bytes)
{
    return static_cast<Rings::Reading*>(reading)->take(data, size_bytes);
}

size_t page_bytes()
{
    return static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

Result<Rings::Ring> Rings::open_ring(Probe& probe)
{
    LibbpfLog log;
    auto reading = std::make_unique<Reading>(probe);
    Ring ring{&probe, OwnedRingBuffer(ring_buffer__new(probe.ring_fd(), hand_over, reading.get(), nullptr)),
              MappedMap(), std::move(reading)};
    if (!ring.reader)
        return errno_error("cannot read the ring of " + probe.name() + " (" + log.last_line("no details") + ")");
    Result<MappedMap> positions = MappedMap::map(probe.ring_fd(), 2 * page_bytes(), "limpet_events");
    if (!positions)
        return positions.error();
    ring.positions = std::move(*positions);
    return ring;
}

Result<Rings> Rings::open(const std::vector<std::unique_ptr<Probe>>& probes)
{
    Rings rings;
    for (const std::unique_ptr<Probe>& probe : probes) {
        if (probe->ring_fd() < 0)
            continue;
        Result<Ring> ring = open_ring(*probe);
        if (!ring)
            return ring.error();
        rings.rings_.push_back(std::move(*ring));
    }
    return rings;
}

// libbpf goes on as long as events come: only the callback can end it.
int Rings::Reading::take(void* data, size_t size_bytes)
{
    probe_.on_event(data, size_bytes);
    if (++taken_ % kLookEvery || ThreadTime::now() < until_)
        return 0;
    has_ended_early_ = true;
    return -ECANCELED;
}

void Rings::Reading::allow(double seconds)
{
    until_ = ThreadTime::now() + seconds;
    has_ended_early_ = false;
}

Rings::Drained Rings::drain(Ring& ring, double seconds)
{
    Drained drained;
    const auto consumed = read_once<uint64_t>(ring.positions.data());
    const auto produced = read_once<uint64_t>(ring.positions.data() + page_bytes());
    if (produced == consumed)
        return drained;
    ring.peak_fill = std::max(ring.peak_fill, static_cast<double>(produced - consumed) / ring.probe->ring_bytes());
    if (seconds <= 0)
        return {0, true};
    {
        const ThreadTime time(drained.seconds);
        ring.reading->allow(seconds);
        ring_buffer__consume(ring.reader.get());
    }
    ring.probe->add_user_seconds(drained.seconds);
    drained.has_ended_early = ring.reading->has_ended_early();
    return drained;
}

Rings::Drained Rings::drain(double seconds)
{
    Drained all;
    size_t left = rings_.size();
    for (Ring& ring : rings_) {
        const Drained one = drain(ring, (seconds - all.seconds) / static_cast<double>(left--));
        all.seconds += one.seconds;
        all.has_ended_early = all.has_ended_early || one.has_ended_early;
    }
    return all;
}

std::optional<double> Rings::take_peak_fill(const Probe& probe)
{
    for (Ring& ring : rings_)
        if (ring.probe == &probe)
            return std::exchange(ring.peak_fill, 0);
    return std::nullopt;
}

} // namespace limpet
