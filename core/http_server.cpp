// SPDX-License-Identifier: Apache-2.0
#include "http_server.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <vector>

namespace limpet {
namespace {

constexpr size_t kMostAwaited = 64;  // connections whose request has not come
constexpr size_t kMostAnswered = 16; // each may hold a page
constexpr int kBacklog = 128;

} // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(const ListenAddress& listen, HttpPages pages)
{
    Result<OwnedFd> listener = listen_on(listen, kBacklog);
    if (!listener)
        return listener.error();
    OwnedFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop.is_open())
        return errno_error("cannot start the HTTP server on " + listen.text);
    return std::make_unique<HttpServer>(std::move(*listener), std::move(stop), std::move(pages));
}

HttpServer::HttpServer(OwnedFd listener, OwnedFd stop, HttpPages pages)
    : listener_(std::move(listener)), stop_(std::move(stop)), pages_(std::move(pages)), thread_([this] { serve(); })
{
}

HttpServer::~HttpServer()
{
    (void)::eventfd_write(stop_.get(), 1);
    thread_.join();
}

void HttpServer::serve()
{
    std::vector<pollfd> waits;
    for (;;) {
        waits = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
        for (const HttpExchange& exchange : exchanges_)
            waits.push_back({exchange.fd(), exchange.wanted_events(), 0});
        if (::poll(waits.data(), waits.size(), milliseconds_to_wait()) < 0)
            continue; // a signal, or no memory for the moment
        if (waits[0].revents)
            return;
        size_t at = 2;
        exchanges_.remove_if([&](HttpExchange& exchange) {
            const bool can_go_on = waits[at++].revents != 0;
            return exchange.deadline() <= HttpExchange::Clock::now() || (can_go_on && !exchange.go_on(pages_));
        });
        drop_oldest(false, kMostAnswered);
        if (waits[1].revents)
            take_connections();
    }
}

int HttpServer::milliseconds_to_wait() const
{
    if (exchanges_.empty())
        return -1;
    const auto nearest = std::min_element(exchanges_.begin(), exchanges_.end(), [](const auto& a, const auto& b) {
        return a.deadline() < b.deadline();
    });
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(nearest->deadline() - HttpExchange::Clock::now());
    return static_cast<int>(std::max<int64_t>(0, left.count()));
}

void HttpServer::take_connections()
{
    // Not without end: who is connected already comes first.
    for (size_t taken = 0; taken < kMostAwaited; ++taken) {
        OwnedFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.is_open()) {
            exchanges_.emplace_back(std::move(socket));
            drop_oldest(true, kMostAwaited);
            continue;
        }
        // Out of descriptors: the connection stays in the queue, and poll(2) would name it again at once.
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return;
    }
}

void HttpServer::drop_oldest(bool awaits_request, size_t most)
{
    const auto is_meant = [&](const HttpExchange& exchange) { return exchange.awaits_request() == awaits_request; };
    auto count = static_cast<size_t>(std::count_if(exchanges_.begin(), exchanges_.end(), is_meant));
    for (; count > most; --count)
        exchanges_.erase(std::find_if(exchanges_.begin(), exchanges_.end(), is_meant));
}

} // namespace limpet
