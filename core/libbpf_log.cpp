// SPDX-License-Identifier: Apache-2.0
#include "libbpf_log.hpp"

#include <cstdarg>
#include <cstdio>
#include <string_view>

#include <bpf/libbpf.h>

namespace limpet {
namespace {

// libbpf's callback takes no context, so the innermost catcher of a thread is found here.
thread_local LibbpfLog* innermost = nullptr;

constexpr std::string_view kPrefix = "libbpf: ";
constexpr size_t kLongestText = 64 * 1024; // a verifier log can have megabytes; its end tells most

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // libbpf hands its own formats through
std::string formatted(const char* format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, again);
    va_end(again);
    if (length <= 0)
        return "";
    std::string line(static_cast<size_t>(length) + 1, '\0');
    std::vsnprintf(line.data(), line.size(), format, arguments);
    line.pop_back();
    return line;
}
#pragma GCC diagnostic pop

int print(libbpf_print_level level, const char* format, va_list arguments)
{
    if (level == LIBBPF_WARN && innermost)
        innermost->add(formatted(format, arguments));
    return 0;
}

} // namespace

LibbpfLog::LibbpfLog() : outer_(innermost)
{
    innermost = this;
    libbpf_set_print(print);
}

LibbpfLog::~LibbpfLog()
{
    innermost = outer_;
}

void LibbpfLog::add(const std::string& line)
{
    text_ += line.starts_with(kPrefix) ? line.substr(kPrefix.size()) : line;
    if (text_.size() > kLongestText)
        text_.erase(0, text_.size() - kLongestText);
}

std::string LibbpfLog::last_line(const std::string& otherwise) const
{
    std::string_view rest = text_;
    while (!rest.empty() && rest.back() == '\n')
        rest.remove_suffix(1);
    if (rest.empty())
        return otherwise;
    const size_t start = rest.rfind('\n');
    return std::string(start == std::string_view::npos ? rest : rest.substr(start + 1));
}

} // namespace limpet
