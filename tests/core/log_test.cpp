// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <fstream>
#include <regex>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "log.hpp"
#include "owned_fd.hpp"
#include "temporary_directory.hpp"

using namespace limpet;

namespace {

// What `write` puts on stderr.
template <typename Write>
std::string stderr_of(Write write)
{
    const TemporaryDirectory directory;
    const std::filesystem::path file = directory.write("log", "");
    const OwnedFd saved(::dup(STDERR_FILENO));
    const OwnedFd sink(::open(file.c_str(), O_WRONLY));
    ::dup2(sink.get(), STDERR_FILENO);
    write();
    ::dup2(saved.get(), STDERR_FILENO);
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

} // namespace

TEST_CASE("A line is time in UTC, level, component and text, without colour in a file")
{
    const std::string line = stderr_of([] { log(LogLevel::kInfo, "http", "attached {} 100%"); });
    INFO(line);
    CHECK(std::regex_match(line,
                           std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info http: attached \{\} 100%\n)")));
}

TEST_CASE("A text stays one line and cannot steer a terminal")
{
    const std::string line = stderr_of([] { log(LogLevel::kError, "agent", "a\nb\x1b[2J"); });
    CHECK_THAT(line, Catch::EndsWith(" error agent: a | b?[2J\n"));
}

TEST_CASE("Lines below the level are not written")
{
    CHECK(stderr_of([] { log(LogLevel::kDebug, "agent", "quiet"); }).empty());
    set_log_level("error");
    CHECK(stderr_of([] { log(LogLevel::kWarn, "agent", "quiet"); }).empty());
    set_log_level("debug");
    CHECK_FALSE(stderr_of([] { log(LogLevel::kDebug, "agent", "loud"); }).empty());
    set_log_level("info");
}

TEST_CASE("A pipe that nobody reads holds nobody up, and what was lost is told when there is room again")
{
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const OwnedFd reading(ends[0]);
    const OwnedFd writing(ends[1]);
    const OwnedFd saved(::dup(STDERR_FILENO));
    ::dup2(writing.get(), STDERR_FILENO);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i)
        log(LogLevel::kInfo, "agent", std::string(5000, 'x'));
    const auto took = std::chrono::steady_clock::now() - begin;
    std::vector<char> text(1 << 20);
    const ssize_t first_bytes = ::read(reading.get(), text.data(), text.size());
    log(LogLevel::kInfo, "agent", "there is room again");
    const ssize_t bytes = ::read(reading.get(), text.data(), text.size());
    ::dup2(saved.get(), STDERR_FILENO);

    CHECK(took < std::chrono::seconds(2));
    CHECK(first_bytes > 4096);
    REQUIRE(bytes > 0);
    const std::string told(text.data(), static_cast<size_t>(bytes));
    CHECK_THAT(told, Catch::Matches(R"(\n?1\d\d lines were lost here: .*\n.* info agent: there is room again\n)"));
}
