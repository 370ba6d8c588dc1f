// SPDX-License-Identifier: Apache-2.0
#include "http_server.hpp"

#include <chrono>
#include <exception>
#include <stop_token>
#include <thread>

#include <civetweb.h>

#include "log.hpp"
#include "owned_fd.hpp"

namespace limpet {
namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";

std::string words_for(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

void send(mg_connection* connection, const HttpPage& page, bool with_body)
{
    std::string head = "HTTP/1.1 " + std::to_string(page.status) + " " + words_for(page.status) + "\r\n" +
                       "Content-Type: " + page.content_type + "\r\n" +
                       "Content-Length: " + std::to_string(page.body.size()) + "\r\n" + "Cache-Control: no-store\r\n" +
                       "X-Content-Type-Options: nosniff\r\n" + (page.status == 405 ? "Allow: GET, HEAD\r\n" : "") +
                       "Connection: close\r\n\r\n";
    mg_write(connection, head.data(), head.size());
    if (with_body)
        mg_write(connection, page.body.data(), page.body.size());
}

// civetweb looks whether it is to stop every two seconds, or when somebody connects.
void knock(const std::stop_token& stopped, const ListenAddress& listen)
{
    while (!stopped.stop_requested()) {
        const OwnedFd socket(::socket(listen.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (socket.is_open())
            (void)::connect(socket.get(), reinterpret_cast<const sockaddr*>(&listen.address), listen.address_length);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

} // namespace

HttpPage answer(const HttpPages& pages, const std::string& method, const std::string& path)
{
    if (method != "GET" && method != "HEAD")
        return {405, kPlainText, "limpet only answers GET and HEAD.\n"};
    const auto page = pages.find(path);
    if (page == pages.end()) {
        std::string known;
        for (const auto& [name, make] : pages)
            known += (known.empty() ? "" : ", ") + name;
        return {404, kPlainText, "There is no such page. limpet serves: " + known + "\n"};
    }
    try {
        return page->second();
    } catch (const std::exception& exception) {
        log(LogLevel::kError, "agent", "cannot make the page " + path + ": " + exception.what());
        return {500, kPlainText, "limpet could not make this page; see its log.\n"};
    }
}

int HttpServer::on_request(mg_connection* connection)
{
    const mg_request_info* request = mg_get_request_info(connection);
    const auto* server = static_cast<const HttpServer*>(request->user_data);
    const std::string method = request->request_method ? request->request_method : "";
    const HttpPage page = answer(server->pages_, method, request->local_uri ? request->local_uri : "");
    send(connection, page, method != "HEAD");
    return page.status;
}

int HttpServer::on_log(const mg_connection* connection, const char* message)
{
    const mg_context* context = mg_get_context(connection);
    auto* server = context ? static_cast<HttpServer*>(mg_get_user_data(context)) : nullptr;
    if (server && !server->context_)
        server->last_log_ = message;
    return 1; // written
}

Done HttpServer::listen_on(const std::string& ports)
{
    mg_callbacks callbacks{};
    callbacks.begin_request = on_request;
    callbacks.log_message = on_log;
    const char* options[] = {"listening_ports",
                             ports.c_str(),
                             "num_threads",
                             "2",
                             "request_timeout_ms",
                             "5000",
                             "enable_directory_listing",
                             "no",
                             "tcp_nodelay",
                             "1",
                             nullptr};
    context_ = mg_start(&callbacks, this, options);
    if (context_)
        return done();
    return Error{0, "cannot start the HTTP server on " + listen_.text + ": " +
                        (last_log_.empty() ? "no details" : last_log_)};
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const ListenAddress& listen, HttpPages pages)
{
    if (const Done free = check_can_listen(listen); !free)
        return free.error();
    mg_init_library(0);
    auto server = std::make_unique<HttpServer>(listen, std::move(pages));
    const bool needs_door = listen.address.ss_family == AF_INET6 && !mg_check_feature(MG_FEATURES_IPV6);
    if (const Done listening = server->listen_on(needs_door ? "127.0.0.1:0" : listen.text); !listening)
        return listening.error();
    if (!needs_door)
        return server;
    mg_server_port inside{};
    if (mg_get_server_ports(server->context_, 1, &inside) != 1)
        return Error{0, "cannot start the HTTP server on " + listen.text + ": it does not tell its port"};
    const Result<ListenAddress> inner = parse_listen_address("127.0.0.1:" + std::to_string(inside.port));
    if (inner)
        server->inner_ = *inner;
    Result<std::unique_ptr<Ipv6Door>> door = Ipv6Door::open(listen, static_cast<uint16_t>(inside.port));
    if (!door)
        return door.error();
    server->door_ = std::move(*door);
    return server;
}

HttpServer::~HttpServer()
{
    door_.reset();
    if (context_) {
        const std::jthread knocking([this](const std::stop_token& stopped) { knock(stopped, inner_); });
        mg_stop(context_);
    }
    mg_exit_library();
}

} // namespace limpet
