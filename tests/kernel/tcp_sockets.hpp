// SPDX-License-Identifier: Apache-2.0
//
// Sockets of a test's own, on the loopback address. What fails throws.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet::test {

inline int checked(int result, const char* what)
{
    if (result < 0)
        throw std::runtime_error(errno_error(what).text);
    return result;
}

inline OwnedFd tcp_socket(int flags = 0)
{
    return OwnedFd(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "socket"));
}

inline int connect_to(const OwnedFd& socket, const sockaddr_in& address)
{
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ? errno : 0;
}

class Listener {
public:
    explicit Listener(int backlog) : socket_(tcp_socket())
    {
        socklen_t size = sizeof(address_);
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        checked(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)), "bind");
        checked(::listen(socket_.get(), backlog), "listen");
        checked(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address_), &size), "getsockname");
    }
    [[nodiscard]] const sockaddr_in& address() const { return address_; }
    [[nodiscard]] OwnedFd accept() const
    {
        return OwnedFd(checked(::accept(socket_.get(), nullptr, nullptr), "accept"));
    }
    void close() { socket_ = OwnedFd(); }

private:
    OwnedFd socket_;
    sockaddr_in address_{};
};

inline void send(const OwnedFd& socket, size_t bytes)
{
    const std::vector<char> text(bytes, 'x');
    checked(static_cast<int>(::send(socket.get(), text.data(), bytes, MSG_NOSIGNAL)), "send");
}

inline void receive(const OwnedFd& socket, size_t bytes)
{
    std::vector<char> text(bytes + 1);
    if (::recv(socket.get(), text.data(), bytes, MSG_WAITALL) != static_cast<ssize_t>(bytes))
        throw std::runtime_error("too little was received");
}

inline void close_with_reset(OwnedFd& socket)
{
    const linger at_once{1, 0};
    checked(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), "SO_LINGER");
    socket = OwnedFd();
}

struct Pair {
    OwnedFd client;
    OwnedFd server;
};

inline Pair connected_pair(const Listener& listener)
{
    OwnedFd client = tcp_socket();
    if (const int error = connect_to(client, listener.address()))
        throw std::runtime_error(std::strerror(error));
    return {std::move(client), listener.accept()};
}

// Ends of connections are dealt with by softirqs, which may be late.
inline bool becomes_true(const std::function<bool()>& claim)
{
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (!claim() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return claim();
}

} // namespace limpet::test
