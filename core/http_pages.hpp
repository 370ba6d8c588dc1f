// SPDX-License-Identifier: Apache-2.0
//
// What the agent's HTTP server answers: pages by path. No threads, no sockets.
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

// The agent's own words, of a status other than 200.
[[nodiscard]] HttpPage plain_page(int status, std::string text);

// The answer to one request: the page, or 404 or 405. Pages that throw become 500. `target` as it stands in the request
// (RFC 9112, 3.2): what stands behind '?' is passed over, and so is the host that proxies write in front.
[[nodiscard]] HttpPage answer(const HttpPages& pages, std::string_view method, std::string_view target);

} // namespace limpet
