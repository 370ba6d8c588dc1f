// SPDX-License-Identifier: Apache-2.0
#include "listen_address.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <netinet/in.h>

namespace limpet {
namespace {

bool fill_ipv4(ListenAddress& listen, const std::string& host)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(listen.port);
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
        return false;
    std::memcpy(&listen.address, &address, sizeof(address));
    listen.address_length = sizeof(address);
    return true;
}

bool fill_ipv6(ListenAddress& listen, const std::string& host)
{
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(listen.port);
    if (host.size() < 2 || host.front() != '[' || host.back() != ']' ||
        ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address.sin6_addr) != 1)
        return false;
    std::memcpy(&listen.address, &address, sizeof(address));
    listen.address_length = sizeof(address);
    return true;
}

std::string advice_for(int error_number)
{
    switch (error_number) {
    case EADDRINUSE:
        return "; another program listens there (`ss -ltnp` names it): stop it or set another agent.listen";
    case EADDRNOTAVAIL:
        return "; no network interface has this address: set agent.listen to one of `ip address`, or 0.0.0.0 for all";
    case EACCES:
        return "; ports below 1024 need CAP_NET_BIND_SERVICE: set agent.listen to a higher one";
    default:
        return "; set another agent.listen";
    }
}

} // namespace

Result<ListenAddress> parse_listen_address(const std::string& text)
{
    ListenAddress listen;
    listen.text = text;
    const size_t colon = text.rfind(':');
    const std::string host = text.substr(0, colon);
    const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), listen.port);
    const bool is_port = error == std::errc() && end == port.data() + port.size() && listen.port != 0;
    if (!is_port || (!fill_ipv4(listen, host) && !fill_ipv6(listen, host)))
        return Error{0, "agent.listen \"" + text + "\" is not address:port, such as 127.0.0.1:9465 or [::1]:9465"};
    return listen;
}

Result<OwnedFd> listen_on(const ListenAddress& listen, int backlog)
{
    OwnedFd socket(::socket(listen.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int yes = 1; // an old connection in TIME_WAIT is no hindrance
    const auto* address = reinterpret_cast<const sockaddr*>(&listen.address);
    if (socket.is_open() && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
        ::bind(socket.get(), address, listen.address_length) == 0 && ::listen(socket.get(), backlog) == 0)
        return socket;
    const int error_number = errno;
    return Error{error_number,
                 "cannot listen on " + listen.text + ": " + std::strerror(error_number) + advice_for(error_number)};
}

Done check_can_listen(const ListenAddress& listen)
{
    const Result<OwnedFd> socket = listen_on(listen, 1);
    return socket ? done() : Done(socket.error());
}

std::string url_of(const ListenAddress& listen)
{
    std::string text = listen.text;
    if (text.starts_with("0.0.0.0:"))
        text.replace(0, 7, "127.0.0.1");
    if (text.starts_with("[::]:"))
        text.replace(0, 4, "[::1]");
    return "http://" + text;
}

} // namespace limpet
