// SPDX-License-Identifier: Apache-2.0
//
// Installs the SDK into an empty prefix and builds a third party's project against it, good probes and bad ones.
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "command.hpp"

using limpet::test::CommandResult;
using limpet::test::run;

namespace {

const std::string kPlace = LIMPET_BUILD_DIR "/tests/outside";

CommandResult cmake(const std::string& arguments)
{
    return run(LIMPET_CMAKE " " + arguments + " 2>&1");
}

CommandResult build(const std::string& probe)
{
    return cmake("--build " + kPlace + "/build --target limpet_probe_" + probe);
}

std::filesystem::path built(const std::string& probe)
{
    return kPlace + "/build/plugins/" + probe + ".so";
}

struct Refusal {
    const char* probe;
    const char* rule;
    const char* message; // part of what the build prints
};
constexpr Refusal kRefusals[] = {
    {"undefined", "a symbol that nobody defines", "limpet_nobody_defines_this"},
    {"weak", "a weak symbol, which the agent might happen to define",
     "undefined symbol limpet_the_agent_might_define_this"},
    {"library", "a library besides the run-time", "needs libz.so.1"},
    {"extra", "a second exported symbol", "outside_extra"},
    {"silent", "no entry point", "must export limpet_plugin_v1"},
    {"bad_bpf", "a warning in the BPF source", "unused_by_anyone"},
};

} // namespace

TEST_CASE("a project outside the tree builds probes with the installed package, and bad ones fail to build")
{
    std::filesystem::remove_all(kPlace);
    const CommandResult installed =
        cmake("--install " LIMPET_BUILD_DIR " --component sdk --prefix " + kPlace + "/prefix");
    INFO(installed.output);
    REQUIRE(installed.status == 0);
    const CommandResult configured = cmake("-G Ninja -S " LIMPET_SOURCE_DIR "/tests/sdk/outside -B " + kPlace +
                                           "/build -DCMAKE_PREFIX_PATH=" + kPlace + "/prefix");
    INFO(configured.output);
    REQUIRE(configured.status == 0);

    for (const std::string probe : {"good", "declarative"}) {
        const CommandResult result = build(probe);
        INFO(result.output);
        CHECK(result.status == 0);
        CHECK(std::filesystem::exists(built(probe)));
    }
    for (const Refusal& refusal : kRefusals) {
        const CommandResult result = build(refusal.probe);
        INFO(refusal.rule << ":\n" << result.output);
        CHECK(result.status != 0);
        CHECK(result.output.find(refusal.message) != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(built(refusal.probe)));
    }
}
