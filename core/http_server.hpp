// SPDX-License-Identifier: Apache-2.0
//
// The agent's HTTP server: a fixed set of pages, read-only, one request for each connection. Boost.Asio waits,
// Boost.Beast knows HTTP.
//
// Owner: run_agent(). One thread of its own serves all connections and makes the pages, which therefore lock what they
// read. When 64 connections keep their requests back, the oldest of them gives way to a new one, and so does the oldest
// of 16 that do not fetch their answers: slow clients, however many, cannot keep a scrape out. Stops at once when
// destroyed, after the page that is being made.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <thread>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include "http_exchange.hpp"
#include "http_pages.hpp"
#include "listen_address.hpp"
#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

class HttpServer {
public:
    // Serves GET and HEAD of `pages`; 404 names them, other methods get 405.
    static Result<std::unique_ptr<HttpServer>> start(const ListenAddress& listen, HttpPages pages);
    HttpServer(OwnedFd listener, HttpPages pages); // for start(); throws what Boost.Asio throws
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();

private:
    using Clock = std::chrono::steady_clock;
    using Acceptor = boost::asio::basic_socket_acceptor<HttpExchange::Tcp, HttpExchange::Executor>;
    using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, HttpExchange::Executor>;

    void serve();
    void accept_next();
    void accept_later();
    void take(HttpExchange::Socket socket);
    // Closes the oldest of those that await their request, or of the others, until there are `most`.
    void leave_newest(bool awaits_request, size_t most);

    HttpPages pages_;
    std::list<std::weak_ptr<HttpExchange>> exchanges_; // oldest first
    boost::asio::io_context context_{1};               // one thread runs it
    Acceptor acceptor_;
    Timer pause_;
    std::thread thread_; // last: it uses the others
};

} // namespace limpet
