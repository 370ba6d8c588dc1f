// SPDX-License-Identifier: Apache-2.0
#include "http_pages.hpp"

#include <exception>

#include "log.hpp"

namespace limpet {
namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";

const char* words_for(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

std::string reply_with(const HttpPage& page, bool with_body)
{
    std::string reply = "HTTP/1.1 " + std::to_string(page.status) + " " + words_for(page.status) + "\r\n" +
                        "Content-Type: " + page.content_type + "\r\n" +
                        "Content-Length: " + std::to_string(page.body.size()) + "\r\n" + "Cache-Control: no-store\r\n" +
                        "X-Content-Type-Options: nosniff\r\n" + (page.status == 405 ? "Allow: GET, HEAD\r\n" : "") +
                        "Connection: close\r\n\r\n";
    if (with_body)
        reply += page.body;
    return reply;
}

// The path of "/path?query", or of "http://host/path", as proxies write it.
std::string path_of(std::string_view target)
{
    target = target.substr(0, target.find_first_of("?#"));
    constexpr std::string_view kScheme = "http://";
    if (!target.starts_with(kScheme))
        return std::string(target);
    const size_t slash = target.find('/', kScheme.size());
    return slash == std::string_view::npos ? "/" : std::string(target.substr(slash));
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

std::string reply_to(const HttpPages& pages, std::string_view head)
{
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == 0 || first == last || !line.substr(last + 1).starts_with("HTTP/1."))
        return reply_with({400, kPlainText, "This is not a request of HTTP/1.0 or 1.1.\n"}, true);
    const std::string method(line.substr(0, first));
    return reply_with(answer(pages, method, path_of(line.substr(first + 1, last - first - 1))), method != "HEAD");
}

std::string reply_to_endless_head()
{
    return reply_with({431, kPlainText, "The head of this request is too large.\n"}, true);
}

} // namespace limpet
