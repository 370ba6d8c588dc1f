// SPDX-License-Identifier: Apache-2.0
//
// The agent's HTTP server: a fixed set of pages, read-only, one request for each connection.
//
// Owner: run_agent(). One thread of its own polls all connections and makes the pages, which therefore lock what they read.
// When 64 connections keep their requests back, the oldest of them gives way to a new one, and so does the oldest of 16 that do not
// fetch their answers: slow clients, however many, cannot keep a scrape out. Stops at once when destroyed, after the page
// that is being made.
#pragma once

#include <list>
#include <memory>
#include <thread>

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
    HttpServer(OwnedFd listener, OwnedFd stop, HttpPages pages); // for start()
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();

private:
    void serve();
    [[nodiscard]] int milliseconds_to_wait() const;
    void take_connections();
    // Leaves the newest `most` of those that await their request, or of the others.
    void drop_oldest(bool awaits_request, size_t most);

    OwnedFd listener_;
    OwnedFd stop_; // an eventfd: readable once the server is to stop
    HttpPages pages_;
    std::list<HttpExchange> exchanges_; // oldest first
    std::thread thread_;                // last: it uses the others
};

} // namespace limpet
