// SPDX-License-Identifier: Apache-2.0
#include "ipv6_door.hpp"

#include <array>
#include <chrono>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

namespace limpet {
namespace {

using std::chrono::steady_clock;
constexpr auto kLongestConnection = std::chrono::seconds(10);

OwnedFd connect_inside(uint16_t port)
{
    OwnedFd inside(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (inside.is_open() && ::connect(inside.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)))
        inside.reset();
    return inside;
}

bool send_all(int fd, const char* data, size_t length)
{
    while (length > 0) {
        const ssize_t sent = ::send(fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        length -= static_cast<size_t>(sent);
    }
    return true;
}

// Passes on what is there. False when the sender has ended or the receiver is gone.
bool pass(int from, int to)
{
    std::array<char, 16384> buffer{};
    const ssize_t length = ::recv(from, buffer.data(), buffer.size(), 0);
    return length > 0 && send_all(to, buffer.data(), static_cast<size_t>(length));
}

// Both ways, until the server inside has said all it has to say.
void relay(int client, int inside, int stop)
{
    const auto until = steady_clock::now() + kLongestConnection;
    std::array<pollfd, 3> waits{pollfd{inside, POLLIN, 0}, pollfd{client, POLLIN, 0}, pollfd{stop, POLLIN, 0}};
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_clock::now()).count();
        if (left <= 0 || ::poll(waits.data(), waits.size(), static_cast<int>(left)) <= 0 || waits[2].revents)
            return;
        if (waits[0].revents && !pass(inside, client))
            return;
        if (waits[1].revents && !pass(client, inside)) {
            ::shutdown(inside, SHUT_WR);
            waits[1].fd = -1; // poll(2) passes it over
        }
    }
}

} // namespace

Result<std::unique_ptr<Ipv6Door>> Ipv6Door::open(const ListenAddress& listen, uint16_t port)
{
    OwnedFd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    OwnedFd stop(::eventfd(0, EFD_CLOEXEC));
    const int yes = 1;
    const auto* address = reinterpret_cast<const sockaddr*>(&listen.address);
    if (!stop.is_open() || !listener.is_open() ||
        ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
        ::bind(listener.get(), address, listen.address_length) || ::listen(listener.get(), 16))
        return errno_error("cannot listen on " + listen.text);
    return std::make_unique<Ipv6Door>(std::move(listener), std::move(stop), port);
}

Ipv6Door::Ipv6Door(OwnedFd listener, OwnedFd stop, uint16_t port)
    : listener_(std::move(listener)), stop_(std::move(stop)), port_(port), thread_([this] { serve(); })
{
}

Ipv6Door::~Ipv6Door()
{
    (void)::eventfd_write(stop_.get(), 1);
    thread_.join();
}

void Ipv6Door::serve() const
{
    const timeval patience{std::chrono::seconds(kLongestConnection).count(), 0};
    std::array<pollfd, 2> waits{pollfd{listener_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    for (;;) {
        if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR)
            return;
        if (waits[1].revents)
            return;
        const OwnedFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        const OwnedFd inside = client.is_open() ? connect_inside(port_) : OwnedFd();
        if (!inside.is_open())
            continue;
        ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        relay(client.get(), inside.get(), stop_.get());
    }
}

} // namespace limpet
