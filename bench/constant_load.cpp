// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 load of a constant rate, whose latencies count from when a request was to be sent.
//
//     constant_load --rate 10000 --connections 100 --seconds 4 http://127.0.0.1:8077/
//
// Request i is due at start + i / rate, on connection i % connections. While that connection still waits for an answer, the
// request waits with it, and its latency grows: a server that stalls is seen by all who would have come meanwhile, not by one
// request a connection ("coordinated omission"). Prints one JSON object. One thread; IPv4; answers need a Content-Length.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "owned_fd.hpp"

namespace {

using limpet::OwnedFd;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kPatience = 10 * kSecond; // for answers, after the last request is due
constexpr size_t kLongestHead = 16384;

int64_t now_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
}

[[noreturn]] void fail(const std::string& what)
{
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

struct Options {
    double rate = 0;
    size_t connections = 0;
    double seconds = 0;
    std::string address;
    uint16_t port = 0;
    std::string path;
};

// One connection: requests that are due and wait for it, and how much of the answer under way is still to come.
struct Connection {
    OwnedFd fd;
    std::deque<int64_t> due; // the first one has been sent when is_busy
    bool is_busy = false;
    std::string head;     // of the answer, until it is whole
    size_t body_left = 0; // once the head is whole
    bool is_in_body = false;
};

struct Outcome {
    std::vector<int64_t> latencies_ns;
    std::vector<int64_t> lags_ns; // from when a request was due to when this program noticed
    uint64_t refused = 0;         // answers other than 2xx
};

OwnedFd connect_to(const Options& options)
{
    OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(options.port);
    if (fd.get() < 0 || ::inet_pton(AF_INET, options.address.c_str(), &place.sin_addr) != 1 ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&place), sizeof(place)))
        fail("cannot connect to " + options.address + ":" + std::to_string(options.port));
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

class Load {
public:
    explicit Load(const Options& options)
        : requests_(static_cast<uint64_t>(options.rate * options.seconds)), interval_ns_(1e9 / options.rate),
          request_("GET " + options.path + " HTTP/1.1\r\nHost: " + options.address + "\r\n\r\n"),
          epoll_(::epoll_create1(EPOLL_CLOEXEC)), connections_(options.connections)
    {
        for (size_t i = 0; i < connections_.size(); ++i) {
            connections_[i].fd = connect_to(options);
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connections_[i].fd.get(), &event))
                fail("cannot watch a connection");
        }
        outcome_.latencies_ns.reserve(requests_);
        outcome_.lags_ns.reserve(requests_);
    }

    Outcome run()
    {
        start_ns_ = now_ns();
        const int64_t end_ns = due_ns(requests_) + kPatience;
        while (finished_ < requests_ && now_ns() < end_ns) {
            make_due();
            wait();
        }
        return std::move(outcome_);
    }

private:
    [[nodiscard]] int64_t due_ns(uint64_t request) const
    {
        return start_ns_ + std::llround(static_cast<double>(request) * interval_ns_);
    }

    // Hands every request whose time has come to its connection.
    void make_due()
    {
        const int64_t now = now_ns();
        for (; next_ < requests_ && due_ns(next_) <= now; ++next_) {
            Connection& connection = connections_[next_ % connections_.size()];
            outcome_.lags_ns.push_back(now - due_ns(next_));
            connection.due.push_back(due_ns(next_));
            send_if_idle(connection);
        }
    }

    void wait()
    {
        const int64_t left = next_ < requests_ ? std::max<int64_t>(due_ns(next_) - now_ns(), 0) : kSecond / 10;
        const timespec timeout{left / kSecond, left % kSecond};
        epoll_event events[64];
        const int count = ::epoll_pwait2(epoll_.get(), events, std::size(events), &timeout, nullptr);
        if (count < 0 && errno != EINTR)
            fail("cannot wait for answers");
        for (int i = 0; i < count; ++i)
            read_from(connections_[events[i].data.u64]);
    }

    void send_if_idle(Connection& connection)
    {
        if (connection.is_busy || connection.due.empty())
            return;
        if (connection.fd.get() < 0 || ::send(connection.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL) !=
                                           static_cast<ssize_t>(request_.size()))
            return give_up(connection);
        connection.is_busy = true;
    }

    void read_from(Connection& connection)
    {
        char bytes[65536];
        const ssize_t count = ::recv(connection.fd.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
            return give_up(connection);
        if (count > 0)
            take(connection, std::string_view(bytes, static_cast<size_t>(count)));
    }

    void take(Connection& connection, std::string_view bytes)
    {
        if (!connection.is_in_body) {
            connection.head += bytes;
            const size_t end = connection.head.find("\r\n\r\n");
            if (end == std::string::npos)
                return connection.head.size() > kLongestHead ? give_up(connection) : void();
            bytes.remove_prefix(bytes.size() - (connection.head.size() - end - 4));
            connection.head.resize(end + 2);
            connection.body_left = content_length(connection.head);
            connection.is_in_body = true;
        }
        connection.body_left -= std::min(connection.body_left, bytes.size());
        if (connection.body_left == 0)
            finish(connection);
    }

    static size_t content_length(const std::string& head)
    {
        constexpr std::string_view kName = "\r\ncontent-length:";
        const auto is_same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
        auto found = std::search(head.begin(), head.end(), kName.begin(), kName.end(), is_same);
        size_t length = 0;
        if (found == head.end())
            throw std::runtime_error("an answer without Content-Length");
        found = std::find_if(found + static_cast<std::ptrdiff_t>(kName.size()), head.end(),
                             [](char letter) { return letter != ' '; });
        std::from_chars(&*found, head.data() + head.size(), length);
        return length;
    }

    void finish(Connection& connection)
    {
        if (connection.head.compare(0, 10, "HTTP/1.1 2") == 0)
            outcome_.latencies_ns.push_back(now_ns() - connection.due.front());
        else
            ++outcome_.refused;
        connection.due.pop_front();
        connection.head.clear();
        connection.is_in_body = false;
        connection.is_busy = false;
        ++finished_;
        send_if_idle(connection);
    }

    // The connection has ended; so has what waits for it.
    void give_up(Connection& connection)
    {
        finished_ += connection.due.size();
        connection = Connection{};
    }

    uint64_t requests_;
    double interval_ns_;
    std::string request_;
    OwnedFd epoll_;
    std::vector<Connection> connections_;
    int64_t start_ns_ = 0;
    uint64_t next_ = 0;     // request that is due next
    uint64_t finished_ = 0; // answered or given up
    Outcome outcome_;
};

double percentile_us(const std::vector<int64_t>& sorted_ns, double share)
{
    if (sorted_ns.empty())
        return 0;
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted_ns.size())));
    return static_cast<double>(sorted_ns[std::max<size_t>(rank, 1) - 1]) / 1e3;
}

void print(Outcome outcome, uint64_t requests)
{
    std::sort(outcome.latencies_ns.begin(), outcome.latencies_ns.end());
    std::sort(outcome.lags_ns.begin(), outcome.lags_ns.end());
    const uint64_t answered = outcome.latencies_ns.size();
    std::printf("{\"requests\": %llu, \"answered\": %llu, \"refused\": %llu, \"unanswered\": %llu,\n \"latency_us\": {",
                static_cast<unsigned long long>(requests), static_cast<unsigned long long>(answered),
                static_cast<unsigned long long>(outcome.refused),
                static_cast<unsigned long long>(requests - answered - outcome.refused));
    const char* separator = "";
    for (const char* share : {"0.5", "0.9", "0.99", "0.999", "1"}) {
        std::printf("%s\"%s\": %.1f", separator, share,
                    percentile_us(outcome.latencies_ns, std::strtod(share, nullptr)));
        separator = ", ";
    }
    std::printf("}, \"generator_lag_us\": {\"0.5\": %.1f, \"0.99\": %.1f}}\n", percentile_us(outcome.lags_ns, 0.5),
                percentile_us(outcome.lags_ns, 0.99));
}

void read_url(const std::string& url, Options& options)
{
    char address[64] = {};
    char path[1024] = "/";
    unsigned port = 0;
    if (std::sscanf(url.c_str(), "http://%63[0-9.]:%5u%1023s", address, &port, path) < 2 || port > 65535)
        throw std::runtime_error("not of the form http://127.0.0.1:8077/path: " + url);
    options.address = address;
    options.port = static_cast<uint16_t>(port);
    options.path = path;
}

Options read_arguments(char** argument)
{
    Options options;
    for (; argument[0] && argument[1]; argument += 2) {
        const std::string_view name = argument[0];
        const double number = std::strtod(argument[1], nullptr);
        if (name == "--rate")
            options.rate = number;
        else if (name == "--connections")
            options.connections = static_cast<size_t>(number);
        else if (name == "--seconds")
            options.seconds = number;
    }
    if (!argument[0] || !(options.rate > 0) || options.connections == 0 || !(options.seconds > 0))
        throw std::runtime_error("usage: constant_load --rate N --connections N --seconds N http://ADDRESS:PORT/PATH");
    read_url(argument[0], options);
    return options;
}

} // namespace

int main(int, char** arguments)
{
    try {
        const Options options = read_arguments(arguments + 1);
        ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
        print(Load(options).run(), static_cast<uint64_t>(options.rate * options.seconds));
        return 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "constant_load: %s\n", failure.what());
        return 1;
    }
}
