// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "config.hpp"
#include "duration.hpp"
#include "manifest.hpp"
#include "suggestion.hpp"
#include "temporary_directory.hpp"

using namespace limpet;

namespace {

const std::string kManifest = R"(
name = "http"
version = "1.0.0"
abi = "1.0"
license = "Apache-2.0"
[[config]]
key = "retries"
type = "integer"
default = 3
min = 0
max = 10
help = "h"
[[config]]
key = "ratio"
type = "number"
default = 0.5
min = 0
max = 1
help = "h"
[[config]]
key = "bodies"
type = "boolean"
default = true
help = "h"
[[config]]
key = "mode"
type = "text"
default = "fast"
values = ["fast", "exact"]
help = "h"
[[config]]
key = "timeout"
type = "duration"
default = "5s"
min = "1ms"
max = "1m"
help = "h"
[[config]]
key = "routes"
type = "list of text"
default = []
help = "h"
[[config]]
key = "bounds"
type = "list of number"
default = [0.1, 1]
min = 0.001
help = "h"
)";

struct Checked {
    std::vector<std::string> problems;
    std::map<std::string, ConfigValue> values;
};

Checked check(const std::string& keys)
{
    const TemporaryDirectory directory;
    ParsedConfig parsed = parse_config(directory.write("l.toml", "[plugins.http]\n" + keys));
    const Result<Manifest> manifest = parse_manifest(kManifest, "http.so");
    INFO((manifest ? std::string() : manifest.error().text));
    REQUIRE(manifest.has_value());
    REQUIRE(parsed.problems.empty());
    Checked result;
    for (const ConfigProblem& problem : check_probe_config(parsed.config.probes.at(0), *manifest))
        result.problems.push_back(problem.key.substr(8) + ": " + problem.text);
    result.values = parsed.config.probes[0].values;
    return result;
}

} // namespace

TEST_CASE("Keys that are not set take the manifest's defaults")
{
    const Checked checked = check("");
    CHECK(checked.problems.empty());
    CHECK(checked.values.size() == 7);
    CHECK(std::get<int64_t>(checked.values.at("retries")) == 3);
    CHECK(std::get<double>(checked.values.at("timeout")) == 5.0);
    CHECK(std::get<std::vector<std::string>>(checked.values.at("routes")).empty());
    CHECK(std::get<std::vector<double>>(checked.values.at("bounds")) == std::vector<double>{0.1, 1});
}

TEST_CASE("Values are converted to the manifest's types")
{
    const Checked checked =
        check("ratio = 1\ntimeout = \"250ms\"\nbounds = [1, 2]\nroutes = [\"/a\"]\nmode = \"exact\"\n");
    CHECK(checked.problems.empty());
    CHECK(std::get<double>(checked.values.at("ratio")) == 1.0);
    CHECK(std::get<double>(checked.values.at("timeout")) == 0.25);
    CHECK(std::get<std::vector<double>>(checked.values.at("bounds")) == std::vector<double>{1, 2});
    CHECK(std::get<std::vector<std::string>>(checked.values.at("routes")) == std::vector<std::string>{"/a"});
    CHECK(std::get<std::vector<double>>(check("bounds = []").values.at("bounds")).empty());
    CHECK(std::get<std::vector<std::string>>(check("routes = \"/a\"").values.at("routes")) ==
          std::vector<std::string>{"/a"});
}

TEST_CASE("Every mistake in a probe's table is reported, and its default stands")
{
    const Checked checked = check(R"(
retries = 11
ratio = nan
bodies = 1
mode = "exakt"
timeout = 5
routes = 5
bounds = [0.1, 0.0001]
retrys = 1
)");
    CHECK(checked.problems ==
          std::vector<std::string>{
              "http.retries: 11 is out of range; use 0 to 10",
              "http.ratio: must be a finite number",
              "http.bodies: expected boolean (true or false), found integer 1",
              "http.mode: unknown value \"exakt\"; did you mean 'exact'?; use one of: fast, exact",
              "http.timeout: expected a duration such as \"100ms\" (units: ns, us, ms, s, m, h), found integer 5",
              "http.routes: expected list of strings such as [\"a\", \"b\"], found integer 5",
              "http.bounds: 0.0001 is out of range; use 0.001 or more",
              "http.retrys: unknown key; did you mean 'retries'?",
          });
    CHECK(std::get<int64_t>(checked.values.at("retries")) == 3);
}

TEST_CASE("A mistyped common key is suggested among a probe's keys")
{
    CHECK(check("enbled = true\n").problems ==
          std::vector<std::string>{"http.enbled: unknown key; did you mean 'enabled'?"});
}

TEST_CASE("Durations are read in every unit and written in the shortest")
{
    struct Row {
        const char* text;
        double seconds;
        const char* shortest;
    };
    const Row row = GENERATE(Row{"5ns", 5e-9, "5ns"}, Row{"5us", 5e-6, "5us"}, Row{"100ms", 0.1, "100ms"},
                             Row{"1.5s", 1.5, "1500ms"}, Row{"2m", 120, "2m"}, Row{"1h", 3600, "1h"},
                             Row{"90m", 5400, "90m"}, Row{"0s", 0, "0s"}, Row{"1000ms", 1, "1s"});
    CAPTURE(row.text);
    REQUIRE(parse_duration_seconds(row.text).has_value());
    CHECK(*parse_duration_seconds(row.text) == Approx(row.seconds));
    CHECK(duration_text(row.seconds) == row.shortest);
}

TEST_CASE("What is not a duration is refused")
{
    for (const char* text :
         {"", "5", "s", "-1s", "1 s", "1e3s", "infs", "nans", "5sec", "5s ", " 5s", "99999999999999999999h", "5M"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration_seconds(text).has_value());
    }
}

TEST_CASE("Typing mistakes find the name that was meant, other words do not")
{
    const std::vector<std::string> known{"listen", "nice", "log_level", "plugin_dir"};
    CHECK(nearest_name("lisetn", known) == "listen");
    CHECK(nearest_name("Log-Level", known) == "log_level");
    CHECK(nearest_name("plugins_dir", known) == "plugin_dir");
    CHECK(nearest_name("nise", known) == "nice");
    CHECK(nearest_name("bananas", known).empty());
    CHECK(nearest_name(std::string(1000, 'a'), known).empty());
    CHECK(nearest_name("", known).empty());
    CHECK(suggestion("bananas", known) == "; known are: listen, nice, log_level, plugin_dir");
}
