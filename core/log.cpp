// SPDX-License-Identifier: Apache-2.0
#include "log.hpp"

#include <chrono>
#include <ctime>
#include <unistd.h>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "stderr_sink.hpp"

namespace limpet {
namespace {

// One line per event whatever the text holds, and nothing in it that a terminal would obey: a name seen in traffic may
// end up here.
std::string one_line(const std::string& text)
{
    std::string result;
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (letter == '\n')
            result += " | ";
        else if (byte < 0x20 || byte == 0x7f)
            result += '?';
        else
            result += letter;
    }
    return result;
}

// On a terminal the level is coloured. Each call of spdlog writes one whole line under the sink's lock.
spdlog::sink_ptr sink_for_stderr()
{
    if (::isatty(STDERR_FILENO))
        return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    return std::make_shared<StderrSink>();
}

spdlog::logger& logger()
{
    static spdlog::logger instance = [] {
        spdlog::logger made("limpet", sink_for_stderr());
        made.set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v",
                                                                       spdlog::pattern_time_type::utc));
        made.flush_on(spdlog::level::trace);
        return made;
    }();
    return instance;
}

spdlog::level::level_enum level_of(LogLevel level)
{
    switch (level) {
    case LogLevel::kDebug:
        return spdlog::level::debug;
    case LogLevel::kInfo:
        return spdlog::level::info;
    case LogLevel::kWarn:
        return spdlog::level::warn;
    case LogLevel::kError:
        return spdlog::level::err;
    }
    return spdlog::level::info;
}

} // namespace

void set_log_level(const std::string& name)
{
    logger().set_level(spdlog::level::from_str(name));
}

void log(LogLevel level, const std::string& component, const std::string& text)
{
    logger().log(level_of(level), one_line(component) + ": " + one_line(text));
}

} // namespace limpet
