// SPDX-License-Identifier: Apache-2.0
//
// "127.0.0.1:9465" or "[::1]:9465" as an address to listen on. Values; no threads.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

struct ListenAddress {
    std::string text; // as configured
    uint16_t port = 0;
    sockaddr_storage address{};
    socklen_t address_length = 0;
};

[[nodiscard]] Result<ListenAddress> parse_listen_address(const std::string& text);

// A socket that listens there and does not block; if that cannot be, why, and how to mend it.
[[nodiscard]] Result<OwnedFd> listen_on(const ListenAddress& listen, int backlog);

// Whether a server could listen there now; if not, why, and how to mend it. Takes nothing.
Done check_can_listen(const ListenAddress& listen);

// The URL under which a browser on this host finds the server ("any" addresses become the loopback's).
[[nodiscard]] std::string url_of(const ListenAddress& listen);

} // namespace limpet
