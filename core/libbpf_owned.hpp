// SPDX-License-Identifier: Apache-2.0
//
// libbpf's objects with one owner each. No threads of their own.
#pragma once

#include <memory>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

namespace limpet {

struct LibbpfDeleter {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
    void operator()(ring_buffer* rings) const { ring_buffer__free(rings); }
};

using OwnedBpfObject = std::unique_ptr<bpf_object, LibbpfDeleter>;
using OwnedBpfLink = std::unique_ptr<bpf_link, LibbpfDeleter>;
using OwnedRingBuffer = std::unique_ptr<ring_buffer, LibbpfDeleter>;

} // namespace limpet
