// SPDX-License-Identifier: Apache-2.0
#include "http_exchange.hpp"

#include <array>
#include <chrono>
#include <sstream>
#include <utility>

#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

namespace limpet {
namespace {

namespace http = boost::beast::http;

constexpr auto kRequestTime = std::chrono::seconds(5);
constexpr auto kReplyTime = std::chrono::seconds(10);
constexpr auto kEndTime = std::chrono::seconds(1);
constexpr uint32_t kLargestHeadBytes = 16384;
constexpr size_t kRestBytes = 16384; // read at once

// The client has sent what is not HTTP, in place of going away or being slow.
bool is_of_http(const boost::beast::error_code& error)
{
    return error.category() == http::make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message;
}

// http::async_write would write head and body alike, but brings 125 kB of code for bodies of every kind.
std::string head_of(const HttpPage& page)
{
    http::response<http::empty_body> reply;
    reply.result(static_cast<unsigned>(page.status));
    reply.set(http::field::content_type, page.content_type);
    reply.content_length(page.body.size());
    reply.set(http::field::cache_control, "no-store");
    reply.set("X-Content-Type-Options", "nosniff");
    if (page.status == 405)
        reply.set(http::field::allow, "GET, HEAD");
    reply.keep_alive(false);
    std::ostringstream head;
    head << reply.base();
    return head.str();
}

} // namespace

HttpExchange::HttpExchange(Socket socket, Answer answer) : stream_(std::move(socket)), answer_(std::move(answer))
{
    request_.header_limit(kLargestHeadBytes);
    request_.skip(true); // of a body nothing is parsed
}

void HttpExchange::read_request()
{
    stream_.expires_after(kRequestTime);
    http::async_read_header(stream_, buffer_, request_,
                            [self = shared_from_this()](Error error, size_t) { self->take_request(error); });
}

void HttpExchange::take_request(Error error)
{
    if (!stream_.socket().is_open() || (error && !is_of_http(error)))
        return;
    const auto& head = request_.get();
    const auto words = [](boost::beast::string_view text) { return std::string_view(text.data(), text.size()); };
    HttpPage page = error == http::error::header_limit ? plain_page(431, "The head of this request is too large.\n")
                    : error                            ? plain_page(400, "This is not a request of HTTP/1.0 or 1.1.\n")
                                                       : answer_(words(head.method_string()), words(head.target()));
    awaits_request_ = false;
    send(std::move(page), error || head.method() != http::verb::head);
}

void HttpExchange::send(HttpPage page, bool with_body)
{
    head_ = head_of(page);
    if (with_body)
        body_ = std::move(page.body);
    stream_.expires_after(kReplyTime);
    const std::array buffers = {boost::asio::const_buffer(boost::asio::buffer(head_)),
                                boost::asio::const_buffer(boost::asio::buffer(body_))};
    boost::asio::async_write(stream_, buffers, [self = shared_from_this()](Error error, size_t) {
        if (!error)
            self->end();
    });
}

void HttpExchange::end()
{
    body_ = {};
    Error ignored;
    (void)stream_.socket().shutdown(Socket::shutdown_send, ignored);
    stream_.expires_after(kEndTime);
    read_rest();
}

// A socket that is closed with unread bytes (the body of a POST) resets its connection, and the client may lose the
// answer.
void HttpExchange::read_rest()
{
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kRestBytes), [self = shared_from_this()](Error error, size_t) {
        if (!error)
            self->read_rest();
    });
}

} // namespace limpet
