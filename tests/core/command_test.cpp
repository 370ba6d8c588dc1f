// SPDX-License-Identifier: Apache-2.0
//
// What the commands print and end with. Needs the probes of tests/sdk/plugins; no privileges.
#include <sstream>

#include <catch2/catch.hpp>

#include "agent.hpp"
#include "commands.hpp"
#include "temporary_directory.hpp"

using namespace limpet;
using Catch::Contains;

namespace {

const std::string kPluginDir = "[agent]\nplugin_dir = \"" LIMPET_TEST_PLUGIN_DIR "\"\n";

struct Printed {
    int exit_code;
    std::string out;
    std::string errors;
};

Printed check(const std::string& config)
{
    const TemporaryDirectory directory;
    std::ostringstream out;
    const int exit_code = check_command(directory.write("limpet.toml", config), out);
    return {exit_code, out.str(), ""};
}

Printed list(const std::string& config)
{
    const TemporaryDirectory directory;
    std::ostringstream out, errors;
    const int exit_code = list_command(directory.write("limpet.toml", config), out, errors);
    return {exit_code, out.str(), errors.str()};
}

Printed about(const std::filesystem::path& file)
{
    std::ostringstream out, errors;
    const int exit_code = info_command(file, out, errors);
    return {exit_code, out.str(), errors.str()};
}

std::filesystem::path test_probe(const std::string& name)
{
    return std::filesystem::path(LIMPET_TEST_PLUGIN_DIR) / (name + ".so");
}

} // namespace

TEST_CASE("check passes a good configuration and says what it enables")
{
    const Printed printed = check(kPluginDir + "[plugins.plain_c]\nenabled = true\n[plugins.exec_declarative]\n");
    INFO(printed.out);
    CHECK(printed.exit_code == kExitOk);
    CHECK_THAT(printed.out,
               Contains("limpet.toml: good; 1 probe enabled (plain_c); nothing was loaded into the kernel\n"));
}

TEST_CASE("check prints the problems of the file, of the probes' files and of their keys at once")
{
    const Printed printed = check(kPluginDir + R"(nise = 1
[plugins.plain_d]
enabled = true
[plugins.exec_declarative]
enabled = true
bucket = [1]
[plugins.exec_events]
enabled = true
buckets = [3, 1]
)");
    INFO(printed.out);
    CHECK(printed.exit_code == kExitBadConfig);
    CHECK_THAT(printed.out, Contains("limpet.toml:3:1: agent.nise: unknown key; did you mean 'nice'?\n"));
    CHECK_THAT(printed.out, Contains("plain_d.so: no such file; did you mean [plugins.plain_c]?"));
    CHECK_THAT(printed.out,
               Contains("limpet.toml:8:1: plugins.exec_declarative.bucket: unknown key; did you mean 'buckets'?\n"));
    CHECK_THAT(printed.out, Contains("plugins.exec_events: config key \"buckets\": bounds must ascend\n"));
    CHECK_THAT(printed.out, Contains("limpet.toml: 4 problems; nothing was loaded\n"));
}

TEST_CASE("check leaves a missing probe alone when it is switched off")
{
    CHECK(check(kPluginDir + "[plugins.none]\nenabled = false\n").exit_code == kExitOk);
}

TEST_CASE("list has a row for each configured and each found probe, and says why one cannot be used")
{
    const Printed printed = list(kPluginDir + "[plugins.plain_c]\nenabled = true\n[plugins.none]\n");
    INFO(printed.out);
    CHECK(printed.exit_code == kExitOk);
    CHECK(printed.errors.empty());
    CHECK_THAT(printed.out, Catch::Matches(R"([^]*\nplain_c +1\.0\.0 +yes +[^\n]+/plain_c\.so +can be loaded\n[^]*)"));
    CHECK_THAT(printed.out, Catch::Matches(R"([^]*\nnone +- +no +[^\n]+/none\.so +cannot be used: no such file[^]*)"));
    CHECK_THAT(
        printed.out,
        Catch::Matches(R"([^]*\nnext_major +- +not configured [^\n]+cannot be used: is built for another ABI[^]*)"));
}

TEST_CASE("list shows what it can of a configuration with mistakes")
{
    const Printed printed = list(kPluginDir + "nise = 1\n");
    CHECK(printed.exit_code == kExitBadConfig);
    CHECK_THAT(printed.errors, Contains("agent.nise"));
    CHECK_THAT(printed.out, Contains("plain_c"));
}

TEST_CASE("list says so when there is nothing to list")
{
    const TemporaryDirectory directory;
    CHECK_THAT(list("[agent]\nplugin_dir = \"" + directory.path().string() + "\"\n").out,
               Contains("no probe is configured"));
}

TEST_CASE("info shows keys with defaults and ranges, programs and metrics")
{
    const Printed printed = about(test_probe("exec_events"));
    INFO(printed.out + printed.errors);
    CHECK(printed.exit_code == kExitOk);
    CHECK_THAT(printed.out, Catch::StartsWith("exec_events 1.0.0: "));
    CHECK_THAT(printed.out, Contains("CAP_BPF, CAP_PERFMON"));
    CHECK_THAT(printed.out,
               Contains("  buckets = [0.0001, 0.001, 0.01, 0.1, 1]\n      list of number, 0.000001 to 3600\n"));
    CHECK_THAT(printed.out, Contains("exec_fork_to_exec_seconds (histogram, seconds)"));
    CHECK_THAT(printed.out, Contains("exec_events_total (counter, 1)"));
    CHECK_THAT(printed.out, Contains("buckets: plugins.exec_events.buckets"));
}

TEST_CASE("info of a probe for another ABI shows its name and why it does not fit")
{
    const Printed printed = about(test_probe("next_major"));
    CHECK(printed.exit_code == kExitFailure);
    CHECK_THAT(printed.out, Catch::StartsWith("next_major 1.0.0"));
    CHECK_THAT(printed.errors, Contains("is built for another ABI"));
}

TEST_CASE("info of what is no probe says what it is")
{
    CHECK_THAT(about("/etc/passwd").errors, Contains("is a text file, not a probe"));
    CHECK_THAT(about("/none.so").errors, Contains("/none.so: No such file"));
    CHECK_THAT(about("/dev/zero").errors, Contains("is not a regular file"));
    CHECK(about("/none.so").exit_code == kExitFailure);
}
