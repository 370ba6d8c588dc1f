// SPDX-License-Identifier: Apache-2.0
//
// No bytes crash a parser: every beginning of good files, good files with bytes changed, and plain noise.
#include <random>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include "config.hpp"
#include "manifest.hpp"
#include "owned_fd.hpp"
#include "temporary_directory.hpp"
#include "toml_tree.hpp"

using namespace limpet;
using namespace std::literals;

namespace {

constexpr const char* kTexts[] = {
    R"(name = "exec"
version = "1.2.3"
abi = "1.0"
license = 'Apache-2.0'
description = """
several lines \u00e9 \
éß ""\"""""
[kernel]
capabilities = ["CAP_BPF"]
[limits]
map_bytes = 0x1000
[[config]]
key = "a"
type = "list of number"
default = [1e3, 0.5, -inf]
min = 1979-05-27T07:32:00Z
help = "h"
)",
    R"([agent]
listen = "[::1]:9465"
cpus = [0, 1]
drain_interval = "100ms"
[plugins.http]
enabled = true
a.b.c = { d = 1, "e" = [[], [{}]] }
accept = ["degraded"]
[names]
refresh = "10s"
[[workloads]]
container_id = "/docker/*"
service_name = "a"
)"};

void feed(const TemporaryDirectory& directory, const std::string& text)
{
    (void)parse_manifest(text, "x.so");
    (void)parse_config(directory.write("x.toml", text));
}

std::string mutated(std::string text, std::minstd_rand& random)
{
    constexpr std::string_view kLetters = "[]{}\"'=.,#\n\\ \0\xff\xc3\xa9"
                                          "0-eE_x"sv;
    const auto changes = random() % 6 + 1;
    for (unsigned i = 0; i < changes && !text.empty(); ++i) {
        const size_t at = random() % text.size();
        switch (random() % 3) {
        case 0:
            text[at] = kLetters[random() % kLetters.size()];
            break;
        case 1:
            text.insert(at, random() % 4 + 1, kLetters[random() % kLetters.size()]);
            break;
        default:
            text.erase(at, random() % 8 + 1);
        }
    }
    return text;
}

Result<PluginSections> read_sections(const std::filesystem::path& file)
{
    const OwnedFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    return read_plugin_sections(fd.get(), file.string());
}

std::string contents_of(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

} // namespace

TEST_CASE("Every beginning of a good text is a document or a problem")
{
    const TemporaryDirectory directory;
    for (const std::string text : kTexts)
        for (size_t length = 0; length <= text.size(); ++length)
            feed(directory, text.substr(0, length));
}

TEST_CASE("Texts with bytes changed are a document or a problem")
{
    const TemporaryDirectory directory;
    std::minstd_rand random(1);
    for (int round = 0; round < 4000; ++round)
        feed(directory, mutated(kTexts[random() % 2], random));
}

TEST_CASE("Noise is a problem")
{
    const TemporaryDirectory directory;
    std::minstd_rand random(2);
    for (int round = 0; round < 500; ++round) {
        std::string noise(random() % 400, '\0');
        for (char& letter : noise)
            letter = static_cast<char>(random());
        feed(directory, noise);
    }
}

TEST_CASE("Deep nesting is a problem, not an overflow of the stack")
{
    std::string dots = "a";
    for (int i = 0; i < 200'000; ++i)
        dots += ".a";
    CHECK_FALSE(parse_toml(dots + " = 1", "x").problems.empty());
    CHECK_FALSE(parse_toml("[" + dots + "]", "x").problems.empty());
    CHECK_FALSE(parse_toml("x = \"\\\"\" \n" + dots + " = 1", "x").problems.empty());
    CHECK_FALSE(parse_toml("x = " + std::string(100'000, '['), "x").problems.empty());
    CHECK_FALSE(parse_toml("x = " + std::string(100'000, '{'), "x").problems.empty());
    CHECK(parse_toml("x = \"" + std::string(10'000, '.') + "\" # " + std::string(10'000, '.'), "x").problems.empty());
}

TEST_CASE("A probe cut short anywhere is an error or its whole content")
{
    const TemporaryDirectory directory;
    const std::string probe = contents_of(std::filesystem::path(LIMPET_TEST_PLUGIN_DIR) / "exec_declarative.so");
    REQUIRE(probe.size() > 1000);
    const size_t step = probe.size() / 300 + 1;
    for (size_t length = 0; length < probe.size(); length += length < 300 ? 1 : step) {
        const Result<PluginSections> sections = read_sections(directory.write("cut.so", probe.substr(0, length)));
        CAPTURE(length);
        REQUIRE_FALSE(sections.has_value());
        const bool is_named = sections.error().text.find("is empty") != std::string::npos ||
                              sections.error().text.find("cut short") != std::string::npos ||
                              sections.error().text.find("not an ELF file") != std::string::npos ||
                              sections.error().text.find("text file") != std::string::npos;
        INFO(sections.error().text);
        CHECK(is_named);
    }
}

TEST_CASE("A probe with bytes of its headers changed is an error or a probe")
{
    const TemporaryDirectory directory;
    const std::string probe = contents_of(std::filesystem::path(LIMPET_TEST_PLUGIN_DIR) / "exec_declarative.so");
    uint64_t section_table = 0;
    probe.copy(reinterpret_cast<char*>(&section_table), sizeof section_table, 0x28);
    REQUIRE(section_table < probe.size());
    std::minstd_rand random(3);
    for (int round = 0; round < 3000; ++round) {
        std::string broken = probe;
        for (unsigned i = 0; i < random() % 4 + 1; ++i) {
            const bool is_in_header = random() % 2 == 0;
            const size_t at =
                is_in_header ? 4 + random() % 60 : section_table + random() % (probe.size() - section_table);
            broken[at] = static_cast<char>(random());
        }
        (void)read_sections(directory.write("broken.so", broken));
    }
}
