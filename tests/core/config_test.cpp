// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <catch2/catch.hpp>

#include "config.hpp"
#include "size.hpp"
#include "temporary_directory.hpp"

using namespace limpet;

namespace {

std::vector<std::string> lines_of(const ParsedConfig& parsed, const std::filesystem::path& file)
{
    std::vector<std::string> lines;
    for (const ConfigProblem& problem : parsed.problems) {
        std::string line = to_string(problem);
        if (line.starts_with(file.string()))
            line.erase(0, file.string().size() + 1);
        lines.push_back(line);
    }
    return lines;
}

// The problems of a text, without the file's name in front.
std::vector<std::string> problems_of(const std::string& text)
{
    const TemporaryDirectory directory;
    const std::filesystem::path file = directory.write("limpet.toml", text);
    return lines_of(parse_config(file), file);
}

Config config_of(const std::string& text)
{
    const TemporaryDirectory directory;
    ParsedConfig parsed = parse_config(directory.write("limpet.toml", text));
    for (const ConfigProblem& problem : parsed.problems)
        FAIL_CHECK(to_string(problem));
    return parsed.config;
}

} // namespace

TEST_CASE("An empty file gives the defaults")
{
    const Config config = config_of("");
    CHECK(config.agent.listen == "127.0.0.1:9465");
    CHECK_FALSE(config.agent.cpus.has_value());
    CHECK(config.agent.drain_interval == std::chrono::milliseconds(100));
    CHECK(config.agent.forget_after == std::chrono::minutes(10));
    CHECK(config.probes.empty());
}

TEST_CASE("Every key of [agent] is read")
{
    const Config config = config_of(R"(
[agent]
listen = "[::1]:9000"
plugin_dir = "/opt/probes"
cpus = [3, 1, 3]
nice = -5
log_level = "debug"
drain_interval = "1.5s"
forget_after = "2h"
cgroup_root = "/sys/fs/cgroup"
)");
    CHECK(config.agent.listen == "[::1]:9000");
    CHECK(config.agent.plugin_dir == "/opt/probes");
    CHECK(config.agent.cpus == std::vector<uint32_t>{1, 3});
    CHECK(config.agent.nice == -5);
    CHECK(config.agent.log_level == "debug");
    CHECK(config.agent.drain_interval == std::chrono::milliseconds(1500));
    CHECK(config.agent.forget_after == std::chrono::hours(2));
    CHECK(config.agent.cgroup_root == "/sys/fs/cgroup");
}

TEST_CASE("A relative path is seen from the directory of the file that names it")
{
    const TemporaryDirectory directory;
    const auto parsed = parse_config(directory.write("limpet.toml", "[agent]\nplugin_dir = \"../probes\"\n"));
    CHECK(parsed.config.agent.plugin_dir == directory.path().parent_path() / "probes");
}

TEST_CASE("Probes keep the order of the file and their own keys as written")
{
    const Config config = config_of(R"(
[plugins.tcp]
[plugins.http]
enabled = true
path = "/opt/http.so"
sha256 = "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
accept = ["degraded"]
series = 64
bounds = [1, 2.5]
names = ["a"]
deep = 5
)");
    REQUIRE(config.probes.size() == 2);
    CHECK(config.probes[0].name == "tcp");
    CHECK_FALSE(config.probes[0].enabled);
    const ProbeConfig& http = config.probes[1];
    CHECK(http.enabled);
    CHECK(http.path == "/opt/http.so");
    CHECK(http.sha256 == "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
    CHECK(http.accept == std::vector<std::string>{"degraded"});
    CHECK(http.series == 64u);
    CHECK(http.raw.size() == 3);
    CHECK(std::get<std::vector<double>>(http.raw.at("bounds").value) == std::vector<double>{1, 2.5});
    CHECK(http.raw.at("deep").toml_type == "integer");
    CHECK(http.raw.at("deep").position.line == 11);
}

TEST_CASE("All mistakes are reported at once, each with its place, key and fix")
{
    CHECK(problems_of(R"([agnet]
x = 1
[agent]
listn = "127.0.0.1:1"
nice = 25
cpus = "1-3"
drain_interval = 100
log_level = "warning"
[plugins.http]
enabled = "yes"
sha256 = "abc"
accept = ["degradd"]
series = 1
[plugins.http.limits]
memory = 1
series = -1
[plugins.http.bounds]
[limits]
memory = 64
kernel_memory = "16Mib"
series = "5000"
lease = "1s"
kernel_memry = "1MiB"
series_per_workload = "120%"
kernel_cpu = 3
)") == std::vector<std::string>{
           "1:2: agnet: unknown table or key; did you mean 'agent'?",
           "4:1: agent.listn: unknown key; did you mean 'listen'?",
           "5:8: agent.nice: 25 is out of range; use -20 to 19",
           "6:8: agent.cpus: expected \"auto\" or a list of CPU numbers such as [0, 2], found string \"1-3\"",
           "7:18: agent.drain_interval: expected a duration such as \"100ms\" (units: ns, us, ms, s, m, h), found "
           "integer 100",
           "8:13: agent.log_level: unknown level \"warning\"; use one of: debug, info, warn, error",
           "10:11: plugins.http.enabled: expected boolean (true or false), found string \"yes\"",
           "11:10: plugins.http.sha256: is not a SHA-256 sum of 64 hexadecimal digits; `sha256sum FILE` prints it",
           "12:10: plugins.http.accept: unknown state \"degradd\"; did you mean 'degraded'?",
           "13:10: plugins.http.series: 1 is out of range; use 2 to 100000",
           "15:1: plugins.http.limits.memory: unknown key; known are: kernel_memory, series",
           "16:10: plugins.http.limits.series: -1 is out of range; use 0 to 10000000",
           "17:1: plugins.http.bounds: a table cannot stand here; use an integer, number, boolean, string or list",
           "19:10: limits.memory: expected a size such as \"16MiB\" (units: B, KiB, MiB, GiB, kB, MB, GB), found "
           "integer 64",
           "20:17: limits.kernel_memory: expected a size such as \"16MiB\" (units: B, KiB, MiB, GiB, kB, MB, GB), "
           "found "
           "string \"16Mib\"",
           "21:10: limits.series: expected integer from 0 to 10000000, found string \"5000\"; write 5000 without "
           "quotes",
           "22:9: limits.lease: 1s is out of range; use 2s to 10m",
           "23:1: limits.kernel_memry: unknown key; did you mean 'kernel_memory'?",
           "24:23: limits.series_per_workload: \"120%\" is not a part of a table's rows; use \"1%\" to \"100%\"",
           "25:14: limits.kernel_cpu: expected a part of a core such as \"5%\", found integer 3",
       });
}

TEST_CASE("Limits are read, of all and of one probe, and remember where they stand")
{
    const Config config = config_of(R"([limits]
memory = "64MiB"
kernel_memory = "1.5GB"
series = 5000
series_per_workload = "40%"
[plugins.http.limits]
kernel_memory = "8MiB"
series = 100
)");
    CHECK(config.limits.memory.value == 64 << 20);
    CHECK(config.limits.kernel_memory.value == 1'500'000'000);
    CHECK(config.limits.series.value == 5000);
    CHECK(config.limits.series.position.line == 4);
    CHECK(config.limits.series.position.column == 10);
    REQUIRE(config.probes.size() == 1);
    CHECK(config.probes[0].limits.kernel_memory.value == 8 << 20);
    CHECK(config.probes[0].limits.series.value == 100);
    CHECK(config.probes[0].workload_share == 0.4);
    CHECK(config.probes[0].limits.series.position.line == 8);
    CHECK(config.probes[0].raw.empty());
    CHECK(config_of("").limits.memory.value == 0);
    CHECK(config_of("[limits]\nmemory = \"\"\nseries = 0").limits.memory.value == 0);
}

TEST_CASE("Sizes are numbers with a unit, and are written so that they are enough")
{
    CHECK(parse_size_bytes("16MiB") == 16u << 20);
    CHECK(parse_size_bytes("1.5KiB") == 1536u);
    CHECK(parse_size_bytes("2GB") == 2'000'000'000u);
    CHECK(parse_size_bytes("0B") == 0u);
    for (const char* text : {"", "16", "MiB", "16 MiB", "16mib", "-1MiB", "1e3MiB", "nanMiB", "infB", "2000000GB"})
        CHECK_FALSE(parse_size_bytes(text));
    CHECK(size_text(16 << 20) == "16MiB");
    CHECK(size_text((16 << 20) + 1) == "16.1MiB");
    CHECK(size_text(900) == "900B");
    CHECK(size_text(5ULL << 30) == "5GiB");
}

TEST_CASE("Values that are nearly right are answered with what to write")
{
    const auto only = [](const std::string& text) {
        const std::vector<std::string> lines = problems_of(text);
        REQUIRE(lines.size() == 1);
        return lines[0];
    };
    CHECK_THAT(only("[agent]\nnice = \"5\""), Catch::EndsWith("found string \"5\"; write 5 without quotes"));
    CHECK_THAT(only("[plugins.http]\nenabled = \"true\""), Catch::EndsWith("write true without quotes"));
    CHECK_THAT(only("[agent]\nlisten = \"localhost:9465\""), Catch::Contains("write \"127.0.0.1:9465\""));
    CHECK_THAT(only("[agent]\nlisten = \"127.0.0.1:70000\""), Catch::Contains("not an address and port"));
    CHECK_THAT(only("[agent]\ndrain_interval = \"1ms\""), Catch::EndsWith("1ms is out of range; use 10ms to 10s"));
    CHECK_THAT(only("[agent]\ncpus = []"), Catch::Contains("list of CPU numbers"));
    CHECK_THAT(only("[agent]\ncpus = [-1]"), Catch::Contains("-1 is not the number of a CPU"));
    CHECK_THAT(only("plugins = 5"), Catch::Contains("expected table, written [plugins]"));
    CHECK_THAT(only("[plugins]\nhttp = true"), Catch::Contains("expected table, written [plugins.http]"));
    CHECK_THAT(only("[plugins.HTTP]"), Catch::Contains("is not the name of a probe"));
    CHECK_THAT(only("[plugins.http]\nwhen = 2020-01-01"), Catch::Contains("a date cannot stand here"));
    CHECK_THAT(only("[plugins.http]\nmix = [1, \"a\"]"), Catch::Contains("strings only or numbers only"));
}

TEST_CASE("Every key of [names] is read")
{
    const Config config = config_of(R"(
[names]
docker_socket = "/srv/docker.sock"
podman_socket = ""
podman_storage = "/srv/storage"
kubernetes_logs = "/srv/logs"
refresh = "2m"
)");
    CHECK(config.names.docker_socket == "/srv/docker.sock");
    CHECK(config.names.podman_socket.empty());
    CHECK(config.names.podman_storage == "/srv/storage");
    CHECK(config.names.kubernetes_logs == "/srv/logs");
    CHECK(config.names.refresh == std::chrono::minutes(2));
    CHECK(config_of("").names.docker_socket == "/run/docker.sock");
}

TEST_CASE("Rules for workloads keep their order, those of fragments come last")
{
    const TemporaryDirectory directory;
    const auto file = directory.write("limpet.toml", R"(
[[workloads]]
container_id = "/docker/a*"
executable = "nginx"
service_name = "first"
[[workloads]]
executable = "b"
service_name = "second"
)");
    directory.write("conf.d/more.toml", "[[workloads]]\ncontainer_id = \"*\"\nservice_name = \"third\"\n");
    const ParsedConfig parsed = parse_config(file);
    CHECK(lines_of(parsed, file).empty());
    CHECK(parsed.config.workloads ==
          std::vector<WorkloadRule>{{"/docker/a*", "nginx", "first"}, {"", "b", "second"}, {"*", "", "third"}});
}

TEST_CASE("Mistakes in names and rules are reported with their place and fix")
{
    CHECK(problems_of(R"([names]
docker_sock = "/run/docker.sock"
refresh = "10ms"
podman_socket = 1
[[workload]]
[[workloads]]
container_id = "docker/web"
service_name = "web"
[[workloads]]
executable = "nginx"
servicename = "web"
[[workloads]]
service_name = "web"
[[workloads]]
executable = "nginx"
service_name = ""
)") == std::vector<std::string>{
           "2:1: names.docker_sock: unknown key; did you mean 'docker_socket'?",
           "3:11: names.refresh: 10ms is out of range; use 1s to 1h",
           "4:17: names.podman_socket: expected string, found integer 1",
           "5:3: workload: unknown table or key; did you mean 'workloads'?",
           "7:16: workloads.container_id: \"docker/web\" fits nothing: a container_id begins with a slash, such as "
           "\"/docker/web-*\" or \"/system.slice/*\"",
           "9:1: workloads.service_name: is missing: the name that the workloads get",
           "11:1: workloads.servicename: unknown key; did you mean 'service_name'?",
           "13:16: workloads.service_name: fits nothing yet: give container_id, executable or both beside it, globs "
           "such "
           "as \"/docker/web-*\" and \"nginx\"",
           "16:16: workloads.service_name: use 1 to 128 bytes without control characters",
       });
    CHECK(problems_of("workloads = 5") ==
          std::vector<std::string>{
              "1:13: workloads: expected list of tables, each written [[workloads]], found integer 5"});
}

TEST_CASE("Text that is not TOML is a problem with its place")
{
    const std::vector<std::string> lines = problems_of("[agent]\nlisten = \n");
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], Catch::StartsWith("2:") && Catch::Contains("not valid TOML"));
}

TEST_CASE("A line that the parser cannot make sense of is named")
{
    CHECK(problems_of("[agent]\nnice = 1\n[{plugins.http]\nenabled = true\n") ==
          std::vector<std::string>{"3:1: not valid TOML: this line makes no sense"});
}

TEST_CASE("A key written twice is a problem")
{
    CHECK(problems_of("[agent]\nnice = 1\nnice = 2\n").size() == 1);
}

TEST_CASE("A file that cannot be read is a problem that says why")
{
    const TemporaryDirectory directory;
    const auto missing = parse_config(directory.path() / "none.toml");
    REQUIRE(missing.problems.size() == 1);
    CHECK_THAT(to_string(missing.problems[0]),
               Catch::Contains("none.toml: cannot be read: No such file or directory; --config FILE names another"));
    const auto not_a_file = parse_config(directory.path());
    REQUIRE(not_a_file.problems.size() == 1);
    CHECK_THAT(to_string(not_a_file.problems[0]), Catch::EndsWith("is a directory, not a file"));
    CHECK_THAT(to_string(parse_config("/dev/zero").problems.at(0)), Catch::EndsWith("is not a regular file"));
}

TEST_CASE("Fragments in conf.d are laid over the file in the order of their names")
{
    const TemporaryDirectory directory;
    const auto file =
        directory.write("limpet.toml", "[agent]\nnice = 1\n[plugins.http]\nenabled = true\na = 1\nb = 1\n");
    directory.write("conf.d/20-last.toml", "[agent]\nnice = 3\n");
    directory.write("conf.d/10-first.toml", "[agent]\nnice = 2\nlog_level = \"warn\"\n[plugins.http]\nb = 2\n");
    directory.write("conf.d/.hidden.toml", "no TOML at all");
    directory.write("conf.d/readme.txt", "no TOML at all");
    const ParsedConfig parsed = parse_config(file);
    CHECK(lines_of(parsed, file).empty());
    CHECK(parsed.config.agent.nice == 3);
    CHECK(parsed.config.agent.log_level == "warn");
    CHECK(parsed.config.files.size() == 3);
    REQUIRE(parsed.config.probes.size() == 1);
    const ProbeConfig& http = parsed.config.probes[0];
    CHECK(http.enabled);
    CHECK(std::get<int64_t>(http.raw.at("a").value) == 1);
    CHECK(std::get<int64_t>(http.raw.at("b").value) == 2);
    CHECK_THAT(http.raw.at("b").position.file, Catch::EndsWith("10-first.toml"));
}

TEST_CASE("A mistake in a fragment names the fragment, and the other files are still checked")
{
    const TemporaryDirectory directory;
    const auto file = directory.write("limpet.toml", "not TOML");
    directory.write("conf.d/a.toml", "[agent]\nnise = 1\n");
    const ParsedConfig parsed = parse_config(file);
    REQUIRE(parsed.problems.size() == 2);
    CHECK_THAT(to_string(parsed.problems[1]),
               Catch::EndsWith("conf.d/a.toml:2:1: agent.nise: unknown key; did you mean 'nice'?"));
}

TEST_CASE("The example configuration is valid and mentions every key there is")
{
    const std::filesystem::path file = std::filesystem::path(LIMPET_SOURCE_DIR) / "config" / "limpet.toml";
    const ParsedConfig parsed = parse_config(file);
    CHECK(lines_of(parsed, file).empty());
    const auto& probes = parsed.config.probes;
    CHECK(std::any_of(probes.begin(), probes.end(), [](const auto& probe) { return probe.enabled; }));

    std::ifstream stream(file);
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    REQUIRE(known_config_keys().size() >= 12);
    for (const std::string& dotted : known_config_keys()) {
        const std::string key = dotted.substr(dotted.rfind('.') + 1);
        INFO(dotted);
        const bool is_mentioned =
            text.find("\n" + key + " ") != std::string::npos || text.find("\n# " + key + " ") != std::string::npos;
        CHECK(is_mentioned);
    }
}
