// SPDX-License-Identifier: Apache-2.0
//
// Makes a short message of what libbpf prints when a BPF object does not load. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace limpet {

// The program that libbpf's warnings blame last ("prog 'NAME': …"), or "".
[[nodiscard]] std::string failed_program_of(std::string_view log);

// One sentence, then the last lines of the verifier's log or of libbpf's warnings, indented.
[[nodiscard]] std::string load_failure_text(std::string_view log, const std::string& program, int error_number);

} // namespace limpet
