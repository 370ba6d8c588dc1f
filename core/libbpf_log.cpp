// SPDX-License-Identifier: Apache-2.0
#include "libbpf_log.hpp"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <string_view>

#include <bpf/libbpf.h>

namespace limpet {
namespace {

// libbpf's callback takes no context, so the innermost catcher of a thread is found here.
thread_local LibbpfLog* innermost = nullptr;

constexpr std::string_view kPrefix = "libbpf: ";
constexpr size_t kLongestText = 256 * 1024;

} // namespace

int catch_libbpf_line(const char* line)
{
    if (!innermost || innermost->text_.size() > kLongestText)
        return 0;
    std::string_view text = line;
    if (text.substr(0, kPrefix.size()) == kPrefix)
        text.remove_prefix(kPrefix.size());
    innermost->text_ += text;
    return 0;
}

namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // libbpf hands its own formats through
int print(libbpf_print_level level, const char* format, va_list arguments)
{
    std::array<char, 2048> line{};

    if (level != LIBBPF_WARN)
        return 0;
    std::vsnprintf(line.data(), line.size(), format, arguments);
    return catch_libbpf_line(line.data());
}
#pragma GCC diagnostic pop

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
