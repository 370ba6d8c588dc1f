// SPDX-License-Identifier: Apache-2.0
#include "http_pages.hpp"

#include <exception>

#include "log.hpp"

namespace limpet {
namespace {

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

HttpPage plain_page(int status, std::string text)
{
    return {status, "text/plain; charset=utf-8", std::move(text)};
}

HttpPage answer(const HttpPages& pages, std::string_view method, std::string_view target)
{
    if (method != "GET" && method != "HEAD")
        return plain_page(405, "limpet only answers GET and HEAD.\n");
    const std::string path = path_of(target);
    const auto page = pages.find(path);
    if (page == pages.end()) {
        std::string known;
        for (const auto& [name, make] : pages)
            known += (known.empty() ? "" : ", ") + name;
        return plain_page(404, "There is no such page. limpet serves: " + known + "\n");
    }
    try {
        return page->second();
    } catch (const std::exception& exception) {
        log(LogLevel::kError, "agent", "cannot make the page " + path + ": " + exception.what());
        return plain_page(500, "limpet could not make this page; see its log.\n");
    }
}

} // namespace limpet
