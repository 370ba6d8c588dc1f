// SPDX-License-Identifier: Apache-2.0
#include "stderr_sink.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <poll.h>
#include <string>
#include <unistd.h>

namespace limpet {
namespace {

constexpr int kPatienceMs = 100;

bool has_room(int patience_ms)
{
    pollfd room{STDERR_FILENO, POLLOUT, 0};
    return ::poll(&room, 1, patience_ms) > 0;
}

} // namespace

void StderrSink::sink_it_(const spdlog::details::log_msg& message)
{
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (lost_lines_)
        tell_of_lost_lines();
    if (lost_lines_ || !write({line.data(), line.size()}))
        ++lost_lines_;
}

void StderrSink::tell_of_lost_lines()
{
    const std::string text =
        (is_torn_ ? "\n" : "") + std::to_string(lost_lines_) + " lines were lost here: stderr took no more\n";
    if (write(text))
        lost_lines_ = 0;
}

// A pipe with room takes PIPE_BUF bytes at once without blocking (pipe(7)).
bool StderrSink::write(std::string_view text)
{
    while (!text.empty()) {
        if (!has_room(lost_lines_ ? 0 : kPatienceMs))
            return false;
        const ssize_t written = ::write(STDERR_FILENO, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        text.remove_prefix(static_cast<size_t>(written));
        is_torn_ = !text.empty();
    }
    return true;
}

} // namespace limpet
