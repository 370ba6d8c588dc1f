// SPDX-License-Identifier: Apache-2.0
//
// The shared objects that limpet_add_probe and a plain C compiler made, looked at from outside and run by a fake agent.
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>
#include <dlfcn.h>
#include <limpet/abi.h>
#include <unistd.h>

#include "command.hpp"
#include "fake_host.hpp"

using limpet::test::FakeHost;
using limpet::test::output_of;
using limpet::test::Sample;

namespace {

std::string probe_path(const std::string& name)
{
    return LIMPET_TEST_PLUGIN_DIR "/" + name + ".so";
}

// Libraries stay mapped for the life of the process, as in the agent.
const limpet_plugin* load(const std::string& name)
{
    void* library = dlopen(probe_path(name).c_str(), RTLD_NOW | RTLD_LOCAL);
    INFO((library ? "" : dlerror()));
    REQUIRE(library != nullptr);
    const auto entry = reinterpret_cast<limpet_entry_fn>(dlsym(library, LIMPET_ENTRY_NAME));
    REQUIRE(entry != nullptr);
    return entry();
}

// The line that `readelf --sections` prints for a section; empty when there is none.
std::string section_line(const std::string& path, const std::string& section)
{
    return output_of("readelf --wide --sections '" + path + "' | grep -F '" + section + " '");
}

// The bytes of a section in a file of their own, which goes away with this object. (Never let objcopy write to a device:
// run as root it can put a regular file in its place.)
class ExtractedSection {
public:
    ExtractedSection(const std::string& path, const std::string& section)
    {
        (void)output_of("objcopy --dump-section " + section + "='" + path_ + "' '" + path + "' '" + path_ + ".copy'");
    }
    ExtractedSection(const ExtractedSection&) = delete;
    ExtractedSection& operator=(const ExtractedSection&) = delete;
    ~ExtractedSection()
    {
        std::filesystem::remove(path_);
        std::filesystem::remove(path_ + ".copy");
    }
    const std::string& path() const { return path_; }

private:
    std::string path_ = LIMPET_TEST_PLUGIN_DIR "/section." + std::to_string(getpid());
};

} // namespace

TEST_CASE("a probe in plain C against abi.h alone counts its calls")
{
    const limpet_plugin* plugin = load("plain_c");
    REQUIRE(plugin->magic == LIMPET_MAGIC);
    FakeHost host;
    host.integers = {{"step", 10}};
    void* instance = nullptr;
    REQUIRE(plugin->operations->create(&host, &instance) == LIMPET_OK);
    REQUIRE(plugin->operations->configure(instance) == LIMPET_OK);
    plugin->operations->on_event(instance, "", 0);
    plugin->operations->on_event(instance, "", 0);
    plugin->operations->collect(instance);
    plugin->operations->destroy(instance);
    CHECK(host.samples == std::vector<Sample>{
                              {"plain_c_calls_total", LIMPET_NO_WORKLOAD, {{"call", "on_event"}}, 20.0},
                              {"plain_c_calls_total", LIMPET_NO_WORKLOAD, {{"call", "collect"}}, 10.0},
                          });
}

TEST_CASE("a probe that throws in its constructor says why and leaves its caller alive")
{
    FakeHost host;
    void* instance = nullptr;
    CHECK(load("throws")->operations->create(&host, &instance) == LIMPET_INTERNAL);
    CHECK(host.failure == "this probe never comes to life");
}

TEST_CASE("a declarative probe has name and version of its manifest and no code")
{
    const limpet_plugin* plugin = load("exec_declarative");
    CHECK(plugin->name == std::string("exec_declarative"));
    CHECK(plugin->version == std::string("1.0.0"));
    CHECK(plugin->operations == nullptr);
}

TEST_CASE("a probe with an undefined symbol cannot be loaded, and the linker names the symbol")
{
    CHECK(dlopen(probe_path("undefined").c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr);
    CHECK(std::string(dlerror()).find("limpet_nobody_defines_this") != std::string::npos);
}

TEST_CASE("descriptors carry the ABI numbers that they were compiled for")
{
    CHECK(load("next_major")->abi_major == 2);
    CHECK(load("lying_major")->abi_major == 2);
    CHECK(load("newer_minor")->abi_minor == 99);
}

TEST_CASE("a probe exports one symbol")
{
    for (const char* name : {"plain_c", "throws", "exec_declarative", "exec_events"}) {
        INFO(name);
        CHECK(output_of("nm --dynamic --defined-only --format=just-symbols '" + probe_path(name) + "'") ==
              "limpet_plugin_v1\n");
    }
}

TEST_CASE("manifest and BPF object are in sections that are not writable and survive strip")
{
    const std::string stripped = LIMPET_TEST_PLUGIN_DIR "/stripped.tmp";
    (void)output_of("strip --strip-all -o '" + stripped + "' '" + probe_path("exec_events") + "'");
    for (const std::string& path : {probe_path("exec_events"), stripped}) {
        for (const std::string section : {LIMPET_MANIFEST_SECTION, LIMPET_BPF_SECTION}) {
            const std::string line = section_line(path, section);
            INFO(line);
            CHECK(line.find("PROGBITS") != std::string::npos);
            CHECK(line.find(" WA") == std::string::npos);
        }
    }
    CHECK(output_of("cat '" + ExtractedSection(stripped, LIMPET_MANIFEST_SECTION).path() + "'") ==
          output_of("cat '" LIMPET_SOURCE_DIR "/tests/sdk/plugins/exec_events.toml'"));
    CHECK(std::filesystem::remove(stripped));
}

TEST_CASE("the BPF object keeps its BTF and loses its debug information")
{
    const ExtractedSection object(probe_path("exec_declarative"), LIMPET_BPF_SECTION);
    const std::string sections = output_of("readelf --wide --sections '" + object.path() + "'");
    CHECK(sections.find(" .BTF ") != std::string::npos);
    CHECK(sections.find(" .BTF.ext ") != std::string::npos);
    CHECK(sections.find(".debug_info") == std::string::npos);
}
