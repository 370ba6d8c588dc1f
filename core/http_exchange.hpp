// SPDX-License-Identifier: Apache-2.0
//
// One connection of the agent's HTTP server: the head of a request comes in, one answer goes out, the rest is thrown
// away.
//
// Owner: the operation it waits for, of Boost.Asio's; when there is none any more it closes. The server's thread alone
// touches it. Nothing here waits: a client that is slow, or says nothing, costs its buffer and holds up nobody.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "http_pages.hpp"

namespace limpet {

class HttpExchange : public std::enable_shared_from_this<HttpExchange> {
public:
    using Tcp = boost::asio::ip::tcp;
    using Executor = boost::asio::io_context::executor_type;
    using Socket = boost::asio::basic_stream_socket<Tcp, Executor>;
    // Of a method and a target.
    using Answer = std::function<HttpPage(std::string_view, std::string_view)>;

    HttpExchange(Socket socket, Answer answer);

    // Begins; the rest follows from it.
    void read_request();
    // No whole request has come yet.
    [[nodiscard]] bool awaits_request() const { return awaits_request_; }
    void close() { stream_.close(); }

private:
    using Error = boost::beast::error_code;

    void take_request(Error error);
    void send(HttpPage page, bool with_body);
    void end();
    void read_rest();

    boost::beast::basic_stream<Tcp, Executor> stream_;
    Answer answer_;
    bool awaits_request_ = true;
    boost::beast::flat_buffer buffer_;
    boost::beast::http::request_parser<boost::beast::http::empty_body> request_;
    std::string head_;
    std::string body_;
};

} // namespace limpet
