// SPDX-License-Identifier: Apache-2.0
//
// Writes log lines to stderr without being held up by it: a pipe that nobody reads, or a full disk, must not stop the agent.
//
// Owner: the logger. Thread-safe by base_sink's lock.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include <spdlog/sinks/base_sink.h>

namespace limpet {

// A reader gets a tenth of a second to make room for a line, and from then on none until there is room again. What was lost
// meanwhile is told by a line "… lines were lost".
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
protected:
    void sink_it_(const spdlog::details::log_msg& message) override;
    void flush_() override {}

private:
    void tell_of_lost_lines();
    // False when not all of it could be written.
    bool write(std::string_view text);

    uint64_t lost_lines_ = 0; // since the last one that was written
    bool is_torn_ = false;    // the last thing written was a part of a line
};

} // namespace limpet
