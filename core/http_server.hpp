// SPDX-License-Identifier: Apache-2.0
//
// The agent's HTTP server: a fixed set of pages, read-only.
//
// Owner: run_agent(). Pages are made on the server's own two threads, so they lock what they read. Stops when destroyed,
// after the requests under way.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ipv6_door.hpp"
#include "listen_address.hpp"
#include "result.hpp"

struct mg_context;
struct mg_connection;

namespace limpet {

struct HttpPage {
    int status = 200;
    std::string content_type;
    std::string body;
};

// By path, "/metrics".
using HttpPages = std::map<std::string, std::function<HttpPage()>>;

class HttpServer {
public:
    // Serves GET and HEAD of `pages`; 404 names them, other methods get 405.
    static Result<std::unique_ptr<HttpServer>> start(const ListenAddress& listen, HttpPages pages);
    HttpServer(const ListenAddress& listen, HttpPages pages) : listen_(listen), inner_(listen), pages_(std::move(pages))
    {
    } // for start()
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();

private:
    Done listen_on(const std::string& ports);
    static int on_request(mg_connection* connection);
    static int on_log(const mg_connection* connection, const char* message);

    ListenAddress listen_;
    ListenAddress inner_; // civetweb's own; another one behind a door
    HttpPages pages_;
    std::string last_log_; // written before start() returns only
    mg_context* context_ = nullptr;
    std::unique_ptr<Ipv6Door> door_; // in front of context_ where civetweb has no IPv6
};

// The answer to one request: the page, or 404 or 405. Pages that throw become 500.
[[nodiscard]] HttpPage answer(const HttpPages& pages, const std::string& method, const std::string& path);

} // namespace limpet
