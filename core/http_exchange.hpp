// SPDX-License-Identifier: Apache-2.0
//
// One connection of the agent's HTTP server: the head of a request comes in, one answer goes out, the rest is thrown away.
//
// Owner: HttpServer, whose thread alone touches it. Nothing here waits: a client that is slow, or says nothing, costs its
// buffer and holds up nobody.
#pragma once

#include <chrono>
#include <string>

#include "http_pages.hpp"
#include "owned_fd.hpp"

namespace limpet {

class HttpExchange {
public:
    using Clock = std::chrono::steady_clock;

    // `socket` is a connection that does not block.
    explicit HttpExchange(OwnedFd socket);

    [[nodiscard]] int fd() const { return socket_.get(); }
    // What it waits for, as poll(2) has it, and until when at the latest.
    [[nodiscard]] short wanted_events() const;
    [[nodiscard]] Clock::time_point deadline() const { return deadline_; }
    // No whole request has come yet.
    [[nodiscard]] bool awaits_request() const { return stage_ == Stage::kRequest; }

    // As far as the socket lets it, once poll(2) has said so. False when the exchange is over.
    bool go_on(const HttpPages& pages);

private:
    enum class Stage { kRequest, kReply, kEnd };

    bool read_request(const HttpPages& pages);
    bool send_reply();
    bool read_rest() const;
    void enter(Stage stage, Clock::duration at_most);

    OwnedFd socket_;
    std::string request_;
    std::string reply_;
    size_t sent_bytes_ = 0;
    Stage stage_ = Stage::kRequest;
    Clock::time_point deadline_;
};

} // namespace limpet
