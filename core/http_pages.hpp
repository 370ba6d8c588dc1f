// SPDX-License-Identifier: Apache-2.0
//
// What the agent's HTTP server answers: pages by path, and the bytes of a reply. No threads, no sockets.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace limpet {

struct HttpPage {
    int status = 200;
    std::string content_type;
    std::string body;
};

// By path, "/metrics".
using HttpPages = std::map<std::string, std::function<HttpPage()>>;

// The answer to one request: the page, or 404 or 405. Pages that throw become 500.
[[nodiscard]] HttpPage answer(const HttpPages& pages, const std::string& method, const std::string& path);

// The whole reply to a request with this head (RFC 9112: request line and fields), without the empty line behind it. What
// stands behind '?' is passed over; a head that cannot be read gets 400.
[[nodiscard]] std::string reply_to(const HttpPages& pages, std::string_view head);

// The whole reply to a request whose head has no end within what is read of it.
[[nodiscard]] std::string reply_to_endless_head();

} // namespace limpet
