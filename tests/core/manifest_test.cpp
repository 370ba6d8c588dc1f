// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "manifest.hpp"

using namespace limpet;

namespace {

const std::string kIdentity = "name = \"exec\"\nversion = \"1.2.3\"\nabi = \"1.0\"\nlicense = \"Apache-2.0\"\n";

std::string mistakes_in(const std::string& text)
{
    const Result<Manifest> manifest = parse_manifest(text, "exec.so");
    return manifest ? "" : manifest.error().text;
}

} // namespace

TEST_CASE("A full manifest is read")
{
    const Result<Manifest> manifest = parse_manifest(kIdentity + R"(
description = "Programs started"
[kernel]
capabilities = ["CAP_BPF", "CAP_PERFMON"]
[limits]
map_bytes = 262144
series = 64
shards = 2
[[config]]
key = "timeout"
type = "duration"
default = "1s"
min = "1ms"
max = "1m"
reloadable = true
help = "How long"
[[program]]
name = "on_exec"
optional = true
group = "exec"
needs = "tracepoint sched_process_exec"
[[program]]
name = "on_socket"
at_scrape = true
sees_one_namespace = true
[[metric]]
name = "exec_total"
kind = "counter"
unit = "1"
help = "Programs started"
labels = ["result"]
)",
                                                     "exec.so");
    INFO((manifest ? std::string() : manifest.error().text));
    REQUIRE(manifest.has_value());
    CHECK(manifest->name == "exec");
    CHECK(manifest->version == "1.2.3");
    CHECK(manifest->abi_major == 1);
    CHECK(manifest->abi_minor == 0);
    CHECK(manifest->capabilities == std::vector<std::string>{"CAP_BPF", "CAP_PERFMON"});
    CHECK(manifest->map_bytes == 262144);
    CHECK(manifest->series == 64);
    CHECK(manifest->shards == 2);
    REQUIRE(manifest->keys.size() == 1);
    CHECK(std::get<double>(manifest->keys[0].default_value) == 1.0);
    CHECK(manifest->keys[0].minimum == 0.001);
    CHECK(manifest->keys[0].maximum == 60.0);
    CHECK(manifest->keys[0].reloadable);
    REQUIRE(manifest->programs.size() == 2);
    CHECK(manifest->programs[0].optional);
    CHECK(manifest->programs[0].group == "exec");
    CHECK_FALSE(manifest->programs[0].at_scrape);
    CHECK(manifest->programs[1].at_scrape);
    CHECK(manifest->programs[1].sees_one_namespace);
    REQUIRE(manifest->metrics.size() == 1);
    CHECK(manifest->metrics[0].labels == std::vector<std::string>{"result"});
}

TEST_CASE("All mistakes of a manifest come in one error, one per line")
{
    CHECK(mistakes_in(R"(nam = "exec"
version = "1"
abi = "one"
license = "x"
[kernel]
capabilities = ["CAP_BFP"]
[limits]
shards = 3
[[config]]
key = "enabled"
type = "text"
default = "a"
help = "h"
[[config]]
key = "a"
type = "integr"
default = 1
help = "h"
[[config]]
key = "b"
type = "integer"
default = 20
max = 10
help = "h"
[[config]]
key = "b"
type = "boolean"
min = 1
[[metric]]
name = "exec"
kind = "counter"
help = "h"
labels = ["container_id", "le"]
[[metric]]
name = "exec_count"
kind = "gauge"
help = "two\nlines"
labels = ["a", "a"]
[[metric]]
name = "limpet_execs"
kind = "gauge"
help = "h"
[[metric]]
name = "exec_delay"
kind = "gauge"
unit = "seconds"
help = "h"
)") == R"(exec.so: manifest: name: is missing; write name = "…"
exec.so: manifest:2:11: version: "1" is not a semantic version such as "1.0.0"
exec.so: manifest:3:7: abi: "one" is not an ABI version; write "1.5"
exec.so: manifest:6:16: kernel.capabilities: unknown capability "CAP_BFP"; did you mean 'CAP_BPF'?
exec.so: manifest:8:10: limits.shards: must be 1, 2, 4 or 8
exec.so: manifest:10:7: config[0].key: 'enabled' is a key that every probe has; choose another name
exec.so: manifest:16:8: config[1].type: unknown type "integr"; did you mean 'integer'?
exec.so: manifest:22:11: config[2].default: 20 is out of range; use 10 or less
exec.so: manifest:26:7: config[3].key: 'b' is declared twice
exec.so: manifest:25:1: config[3].help: is missing; write help = "…"
exec.so: manifest:28:7: config[3].min: has no meaning for the type 'boolean'; leave it out
exec.so: manifest:25:1: config[3].default: is missing; every key has a default
exec.so: manifest:30:8: metric[0].name: "exec" is a counter and must end in "_total"
exec.so: manifest:33:10: metric[0].labels: 'container_id' is added by the agent; leave it out
exec.so: manifest:33:10: metric[0].labels: "le" cannot be a label's name
exec.so: manifest:35:8: metric[1].name: "exec_count" ends in "_count", which is kept for parts of histograms
exec.so: manifest:37:8: metric[1].help: must be one line
exec.so: manifest:38:10: metric[1].labels: 'a' is listed more than once
exec.so: manifest:38:10: metric[1].labels: 'a' is listed more than once
exec.so: manifest:40:8: metric[2].name: "limpet_execs" begins with "limpet_", which is kept for the agent's own metrics
exec.so: manifest:44:8: metric[3].name: "exec_delay" is exported in seconds and must end in "_seconds"
exec.so: manifest:1:1: nam: unknown key; did you mean 'name'?)");
}

TEST_CASE("A manifest of another ABI is only asked for its name and version")
{
    const Result<Manifest> manifest =
        parse_manifest("name = \"x\"\nversion = \"1.0.0\"\nabi = \"2.1\"\nnew_things = 1\n", "x.so");
    REQUIRE(manifest.has_value());
    CHECK(manifest->abi_major == 2);
    CHECK(manifest->abi_minor == 1);
}

TEST_CASE("Versions are semantic versions")
{
    const auto is_fine = [](const std::string& version) {
        return mistakes_in("name = \"x\"\nabi = \"1.0\"\nlicense = \"x\"\nversion = \"" + version + "\"\n").empty();
    };
    for (const char* version : {"0.1.0", "10.20.30", "1.0.0-rc.1", "1.0.0+build5", "1.0.0-a-b+c"})
        CHECK(is_fine(version));
    for (const char* version : {"1", "1.0", "1.0.0.0", "v1.0.0", "1.0.x", "1.0.0-", "1.0.0 ", "1..0", "-1.0.0"})
        CHECK_FALSE(is_fine(version));
}
