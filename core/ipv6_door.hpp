// SPDX-License-Identifier: Apache-2.0
//
// Lets IPv6 clients in where the HTTP library knows IPv4 only, as Debian's civetweb does.
//
// Owner: HttpServer. One thread takes one connection after the other and passes bytes to and from a port of the loopback; a
// connection has ten seconds. Stops when destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "listen_address.hpp"
#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

class Ipv6Door {
public:
    // Listens at once; connections go to 127.0.0.1:`port`.
    static Result<std::unique_ptr<Ipv6Door>> open(const ListenAddress& listen, uint16_t port);
    Ipv6Door(OwnedFd listener, OwnedFd stop, uint16_t port); // for open()
    Ipv6Door(const Ipv6Door&) = delete;
    Ipv6Door& operator=(const Ipv6Door&) = delete;
    ~Ipv6Door();

private:
    void serve() const;

    OwnedFd listener_;
    OwnedFd stop_; // an eventfd: readable once the door closes
    uint16_t port_;
    std::thread thread_; // last: it uses the others
};

} // namespace limpet
