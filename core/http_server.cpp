// SPDX-License-Identifier: Apache-2.0
#include "http_server.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <sys/socket.h>

#include "log.hpp"

namespace limpet {
namespace {

constexpr size_t kMostAwaited = 64;  // connections whose request has not come
constexpr size_t kMostAnswered = 16; // each may hold a page
// Connections beyond it would try again a second later: here they are taken sooner than that.
constexpr int kBacklog = SOMAXCONN;
constexpr auto kPause = std::chrono::milliseconds(20);

} // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(const ListenAddress& listen, HttpPages pages)
{
    Result<OwnedFd> listener = listen_on(listen, kBacklog);
    if (!listener)
        return listener.error();
    try {
        return std::make_unique<HttpServer>(std::move(*listener), std::move(pages));
    } catch (const std::exception& exception) {
        return Error{0, "cannot start the HTTP server on " + listen.text + ": " + exception.what()};
    }
}

HttpServer::HttpServer(OwnedFd listener, HttpPages pages)
    : pages_(std::move(pages)), acceptor_(context_), pause_(context_)
{
    acceptor_.assign(HttpExchange::Tcp::v6(), listener.get()); // of either family: nothing asks for it later
    (void)listener.release();
    thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer()
{
    context_.stop();
    thread_.join();
}

void HttpServer::serve()
{
    for (;;) {
        try {
            accept_next();
            context_.run();
            return;
        } catch (const std::exception& exception) { // no memory: whose operation it was is closed by now
            log(LogLevel::kError, "agent", std::string("a connection to the HTTP server is lost: ") + exception.what());
        }
        boost::system::error_code ignored;
        (void)acceptor_.cancel(ignored);
    }
}

void HttpServer::accept_next()
{
    acceptor_.async_accept([this](const boost::system::error_code& error, HttpExchange::Socket socket) {
        if (error == boost::asio::error::operation_aborted)
            return;
        if (error)
            return accept_later();
        take(std::move(socket));
        accept_next();
    });
}

// Out of descriptors: the connection stays in the queue, and would fail again at once.
void HttpServer::accept_later()
{
    pause_.expires_after(kPause);
    pause_.async_wait([this](const boost::system::error_code& error) {
        if (!error)
            accept_next();
    });
}

void HttpServer::take(HttpExchange::Socket socket)
{
    exchanges_.remove_if([](const auto& exchange) { return exchange.expired(); });
    leave_newest(true, kMostAwaited - 1);
    const auto answer_request = [this](std::string_view method, std::string_view target) {
        leave_newest(false, kMostAnswered - 1);
        return answer(pages_, method, target);
    };
    const auto exchange = std::make_shared<HttpExchange>(std::move(socket), answer_request);
    exchanges_.push_back(exchange);
    exchange->read_request();
}

void HttpServer::leave_newest(bool awaits_request, size_t most)
{
    const auto is_meant = [&](const std::weak_ptr<HttpExchange>& exchange) {
        const auto alive = exchange.lock();
        return alive && alive->awaits_request() == awaits_request;
    };
    auto count = static_cast<size_t>(std::count_if(exchanges_.begin(), exchanges_.end(), is_meant));
    for (; count > most; --count) {
        const auto oldest = std::find_if(exchanges_.begin(), exchanges_.end(), is_meant);
        oldest->lock()->close();
        exchanges_.erase(oldest);
    }
}

} // namespace limpet
