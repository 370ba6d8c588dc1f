// SPDX-License-Identifier: Apache-2.0
#include "runtime_socket.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <poll.h>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <sys/socket.h>
#include <sys/un.h>

#include "owned_fd.hpp"

namespace limpet {
namespace {

using std::chrono::steady_clock;
namespace http = boost::beast::http;
using Parser = http::response_parser<http::string_body>;

constexpr uint32_t kHeadLimitBytes = 16 * 1024;

class Request {
public:
    Request(const std::filesystem::path& path, int stop_fd, const RequestLimits& limits)
        : path_(path.string()), stop_fd_(stop_fd), limits_(limits), deadline_(steady_clock::now() + limits.time)
    {
    }

    Done connect();
    Done send(std::string_view text);
    Result<std::string> receive();

private:
    Done wait_for(short events);
    [[nodiscard]] Error refused(const std::string& what) const { return {0, path_ + ": " + what}; }

    std::string path_;
    int stop_fd_;
    RequestLimits limits_;
    steady_clock::time_point deadline_;
    OwnedFd fd_;
};

Done Request::connect()
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path))
        return refused("the path is too long for a socket");
    std::memcpy(static_cast<char*>(address.sun_path), path_.data(), path_.size());
    fd_ = OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.is_open())
        return errno_error("cannot make a Unix socket");
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return errno_error("cannot connect to " + path_);
    return done();
}

Done Request::wait_for(short events)
{
    using namespace std::chrono;
    const auto left = duration_cast<milliseconds>(deadline_ - steady_clock::now());
    std::array<pollfd, 2> descriptors = {{{fd_.get(), events, 0}, {stop_fd_, POLLIN, 0}}};
    const int ready =
        ::poll(descriptors.data(), descriptors.size(), static_cast<int>(std::max(milliseconds(0), left).count()));
    if (ready < 0 && errno != EINTR)
        return errno_error("cannot wait for " + path_);
    if (descriptors[1].revents != 0)
        return Error{ECANCELED, path_ + ": the agent stops"};
    if (steady_clock::now() >= deadline_)
        return refused("no whole answer within " + std::to_string(limits_.time.count()) + " ms");
    return done();
}

Done Request::send(std::string_view text)
{
    while (!text.empty()) {
        const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
        if (sent > 0)
            text.remove_prefix(static_cast<size_t>(sent));
        else if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return errno_error("cannot write to " + path_);
        else if (const Done ready = wait_for(POLLOUT); !ready)
            return ready;
    }
    return done();
}

// Gives the parser what is there, one step at a time: told to be eager, it forgets that a body is too large as soon as
// bytes of it follow, and makes room for all of it. Returns how many bytes it has used; the rest it wants to see again.
size_t feed(Parser& parser, std::string_view bytes, boost::system::error_code& error)
{
    size_t used = 0;
    while (used < bytes.size() && !parser.is_done()) {
        used += parser.put(boost::asio::buffer(bytes.data() + used, bytes.size() - used), error);
        if (error)
            break;
    }
    if (error == http::error::need_more)
        error = {};
    return used;
}

Result<std::string> Request::receive()
{
    Parser parser;
    parser.header_limit(kHeadLimitBytes);
    parser.body_limit(limits_.body_bytes);
    boost::system::error_code error;
    std::array<char, kHeadLimitBytes> buffer{};
    for (size_t kept = 0; !parser.is_done() && !error;) {
        if (const Done ready = wait_for(POLLIN); !ready)
            return ready.error();
        const ssize_t length = ::recv(fd_.get(), buffer.data() + kept, buffer.size() - kept, 0);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (length < 0)
            return errno_error("cannot read from " + path_);
        const size_t held = kept + static_cast<size_t>(length);
        const size_t used = length > 0 ? feed(parser, {buffer.data(), held}, error) : 0;
        if (length == 0)
            parser.put_eof(error);
        kept = held - used;
        std::memmove(buffer.data(), buffer.data() + used, kept);
        if (length == 0 || kept == buffer.size())
            break;
    }
    if (error == http::error::body_limit)
        return refused("the answer is larger than " + std::to_string(limits_.body_bytes) + " bytes");
    if (error || !parser.is_done())
        return refused("the answer is not HTTP that limpet reads" + (error ? ": " + error.message() : ""));
    if (parser.get().result_int() != 200)
        return refused("the answer has status " + std::to_string(parser.get().result_int()));
    return std::move(parser.get().body());
}

} // namespace

Result<std::string> get_over_socket(const std::filesystem::path& socket, const std::string& target, int stop_fd,
                                    const RequestLimits& limits)
{
    Request request(socket, stop_fd, limits);
    if (const Done connected = request.connect(); !connected)
        return connected.error();
    const std::string head = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (const Done sent = request.send(head); !sent)
        return sent.error();
    return request.receive();
}

} // namespace limpet
