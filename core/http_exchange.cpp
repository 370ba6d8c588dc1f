// SPDX-License-Identifier: Apache-2.0
#include "http_exchange.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace limpet {
namespace {

constexpr auto kRequestTime = std::chrono::seconds(5);
constexpr auto kReplyTime = std::chrono::seconds(10);
constexpr auto kEndTime = std::chrono::seconds(1);
constexpr size_t kLargestHeadBytes = 16384;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

// The call has not failed for good: the socket is to be waited for.
bool is_to_be_tried_again()
{
    return errno == EAGAIN || errno == EINTR;
}

} // namespace

HttpExchange::HttpExchange(OwnedFd socket) : socket_(std::move(socket)), deadline_(Clock::now() + kRequestTime) {}

short HttpExchange::wanted_events() const
{
    return stage_ == Stage::kReply ? POLLOUT : POLLIN;
}

bool HttpExchange::go_on(const HttpPages& pages)
{
    switch (stage_) {
    case Stage::kRequest:
        return read_request(pages);
    case Stage::kReply:
        return send_reply();
    case Stage::kEnd:
        return read_rest();
    }
    return false;
}

void HttpExchange::enter(Stage stage, Clock::duration at_most)
{
    stage_ = stage;
    deadline_ = Clock::now() + at_most;
}

bool HttpExchange::read_request(const HttpPages& pages)
{
    std::array<char, 4096> buffer{};
    const ssize_t length = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (length <= 0)
        return length < 0 && is_to_be_tried_again();
    const size_t searched = std::max(request_.size(), kHeadEnd.size()) - kHeadEnd.size();
    request_.append(buffer.data(), static_cast<size_t>(length));
    const size_t end = request_.find(kHeadEnd, searched);
    if (end == std::string::npos && request_.size() < kLargestHeadBytes)
        return true;
    reply_ = end == std::string::npos ? reply_to_endless_head()
                                      : reply_to(pages, std::string_view(request_).substr(0, end));
    request_ = {};
    enter(Stage::kReply, kReplyTime);
    return send_reply();
}

bool HttpExchange::send_reply()
{
    const ssize_t sent =
        ::send(socket_.get(), reply_.data() + sent_bytes_, reply_.size() - sent_bytes_, MSG_NOSIGNAL);
    if (sent < 0)
        return is_to_be_tried_again();
    sent_bytes_ += static_cast<size_t>(sent);
    if (sent_bytes_ < reply_.size())
        return true;
    reply_ = {};
    ::shutdown(socket_.get(), SHUT_WR);
    enter(Stage::kEnd, kEndTime);
    return true;
}

// A socket that is closed with unread bytes (the body of a POST) resets its connection, and the client may lose the answer.
bool HttpExchange::read_rest() const
{
    std::array<char, 16384> buffer{};
    const ssize_t length = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    return length > 0 || (length < 0 && is_to_be_tried_again());
}

} // namespace limpet
