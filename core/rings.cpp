// SPDX-License-Identifier: Apache-2.0
#include "rings.hpp"

#include "libbpf_log.hpp"

namespace limpet {
namespace {

int hand_over(void* probe, void* data, size_t size_bytes)
{
    static_cast<Probe*>(probe)->on_event(data, size_bytes);
    return 0;
}

} // namespace

Result<Rings> Rings::open(const std::vector<std::unique_ptr<Probe>>& probes)
{
    LibbpfLog log;
    Rings rings;
    for (const std::unique_ptr<Probe>& probe : probes) {
        const int fd = probe->ring_fd();
        if (fd < 0)
            continue;
        if (!rings.reader_)
            rings.reader_.reset(ring_buffer__new(fd, hand_over, probe.get(), nullptr));
        else if (ring_buffer__add(rings.reader_.get(), fd, hand_over, probe.get()))
            rings.reader_.reset();
        if (!rings.reader_)
            return errno_error("cannot read the ring of " + probe->name() + " (" + log.last_line("no details") + ")");
    }
    return rings;
}

void Rings::drain()
{
    if (reader_)
        ring_buffer__consume(reader_.get());
}

} // namespace limpet
