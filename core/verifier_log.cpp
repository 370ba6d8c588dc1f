// SPDX-License-Identifier: Apache-2.0
#include "verifier_log.hpp"

#include <cstring>
#include <vector>

namespace limpet {
namespace {

constexpr size_t kShownLines = 12;
constexpr std::string_view kLogBegins = "-- BEGIN PROG LOAD LOG --\n";
constexpr std::string_view kLogEnds = "-- END PROG LOAD LOG --";
constexpr std::string_view kBlame = "prog '";

// Between the two marks, when they are there.
std::string_view verifier_part(std::string_view log)
{
    const size_t end = log.rfind(kLogEnds);
    if (end == std::string_view::npos)
        return {};
    const size_t begin = log.rfind(kLogBegins, end);
    const size_t start = begin == std::string_view::npos ? 0 : begin + kLogBegins.size();
    return log.substr(start, end - start);
}

bool is_noise(std::string_view line)
{
    return line.empty() || line.starts_with("processed ") || line.starts_with("verification time") ||
           line.starts_with("stack depth");
}

// The register states behind an instruction fill screens.
std::string shortened(std::string_view line)
{
    constexpr size_t kLongestLine = 160;
    if (line.size() <= kLongestLine)
        return std::string(line);
    return std::string(line.substr(0, kLongestLine)) + " ...";
}

std::string last_lines(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        if (!is_noise(text.substr(0, end)))
            lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    std::string shown;
    for (size_t i = lines.size() > kShownLines ? lines.size() - kShownLines : 0; i < lines.size(); ++i)
        shown += "\n    " + shortened(lines[i]);
    return shown;
}

// What the verifier says of an object without a licence does not tell its author that a line is missing.
std::string advice_for(std::string_view verifier)
{
    if (verifier.find("from non-GPL compatible program") == std::string_view::npos)
        return "";
    return "\n    declare a licence that goes with the GPL: char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";";
}

} // namespace

std::string failed_program_of(std::string_view log)
{
    const size_t begin = log.rfind(kBlame);
    if (begin == std::string_view::npos)
        return "";
    const std::string_view rest = log.substr(begin + kBlame.size());
    return std::string(rest.substr(0, rest.find('\'')));
}

std::string load_failure_text(std::string_view log, const std::string& program, int error_number)
{
    const std::string reason = std::strerror(error_number);
    const std::string_view verifier = verifier_part(log);
    if (program.empty())
        return "the BPF object does not load: " + reason + last_lines(log);
    if (verifier.empty())
        return "the BPF program " + program + " does not load: " + reason + last_lines(log);
    return "the kernel's verifier rejects the BPF program " + program + ": " + reason +
           "; its last words:" + last_lines(verifier) + advice_for(verifier);
}

} // namespace limpet
