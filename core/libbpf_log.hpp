// SPDX-License-Identifier: Apache-2.0
//
// Catches what libbpf prints, so that a failure can be told in one message instead of a stream on stderr.
//
// A LibbpfLog lives on the stack around libbpf calls and sees those of its own thread. Without one libbpf is silent.
#pragma once

#include <string>

namespace limpet {

class LibbpfLog {
public:
    LibbpfLog();
    ~LibbpfLog();
    LibbpfLog(const LibbpfLog&) = delete;
    LibbpfLog& operator=(const LibbpfLog&) = delete;

    // Warnings so far, without libbpf's own prefix; the last 64 KiB.
    [[nodiscard]] const std::string& text() const { return text_; }
    // The last warning, or `otherwise` when there was none.
    [[nodiscard]] std::string last_line(const std::string& otherwise) const;

    void add(const std::string& line);

private:
    std::string text_;
    LibbpfLog* outer_ = nullptr;
};

} // namespace limpet
