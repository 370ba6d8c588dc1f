// SPDX-License-Identifier: Apache-2.0
#include "rings.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include "libbpf_log.hpp"
#include "thread_time.hpp"

namespace limpet {
namespace {

int hand_over(void* probe, void* data, size_t size_bytes)
{
    static_cast<Probe*>(probe)->on_event(data, size_bytes);
    return 0;
}

size_t page_bytes()
{
    return static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

Result<Rings::Ring> Rings::open_ring(Probe& probe)
{
    LibbpfLog log;
    Ring ring{&probe, OwnedRingBuffer(ring_buffer__new(probe.ring_fd(), hand_over, &probe, nullptr)), MappedMap()};
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

void Rings::drain()
{
    for (Ring& ring : rings_) {
        const auto consumed = read_once<uint64_t>(ring.positions.data());
        const auto produced = read_once<uint64_t>(ring.positions.data() + page_bytes());
        if (produced == consumed)
            continue;
        ring.peak_fill = std::max(ring.peak_fill, static_cast<double>(produced - consumed) / ring.probe->ring_bytes());
        double seconds = 0;
        {
            const ThreadTime time(seconds);
            ring_buffer__consume(ring.reader.get());
        }
        ring.probe->add_user_seconds(seconds);
    }
}

std::optional<double> Rings::take_peak_fill(const Probe& probe)
{
    for (Ring& ring : rings_)
        if (ring.probe == &probe)
            return std::exchange(ring.peak_fill, 0);
    return std::nullopt;
}

} // namespace limpet
