// SPDX-License-Identifier: Apache-2.0
//
// Running something in every network namespace of the host: for what the kernel shows of one's own namespace only.
//
// Functions without state.
#pragma once

#include <cstddef>
#include <functional>

#include "result.hpp"

namespace limpet {

inline constexpr size_t kMostNetworkNamespaces = 256; // about a millisecond each

// Runs `body` once in each network namespace that a process of this host is in (by its main thread), this process's own
// excepted: in a thread that enters one after the other and ends. At most `limit` of them, the first found. A namespace that
// goes away meanwhile is passed over; what `body` fails with ends the round and is returned.
Done run_in_other_network_namespaces(size_t limit, const std::function<Done()>& body);

} // namespace limpet
