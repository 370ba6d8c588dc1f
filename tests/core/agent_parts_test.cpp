// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "cost_meter.hpp"
#include "listen_address.hpp"
#include "owned_fd.hpp"
#include "pinning.hpp"
#include "process_metrics.hpp"
#include "reload.hpp"
#include "status_page.hpp"
#include "verifier_log.hpp"

using namespace limpet;

TEST_CASE("runs become seconds once a window has priced them, and none is lost before")
{
    RunPrice price;
    price.charge(1000);
    CHECK_FALSE(price.seconds());
    price.observe(0, 0); // a window without runs tells nothing
    CHECK_FALSE(price.seconds());
    price.observe(10, 5'000);
    price.charge(1500);
    CHECK(*price.seconds() == Approx(1500 * 500e-9));
    price.charge(1500);
    CHECK(*price.seconds() == Approx(1500 * 500e-9));
}

TEST_CASE("later windows weigh more, and a probe that began anew is charged from zero")
{
    RunPrice price;
    price.observe(100, 100 * 1000);
    price.observe(100, 100 * 400);
    CHECK(price.ns_per_run() == Approx((50 * 1000 + 100 * 400) / 150.0));
    price.charge(10);
    const double before = *price.seconds();
    price.charge(4);
    CHECK(*price.seconds() == Approx(before + 4 * price.ns_per_run() / 1e9));
}

TEST_CASE("the way into a hook is charged for each run, those before its price was known included")
{
    RunPrice price;
    price.charge(100);
    CHECK_FALSE(price.hook_seconds());
    price.charge(300, 20);
    CHECK(*price.hook_seconds() == Approx(300 * 20e-9));
    price.charge(400, 10); // what has been charged stays
    CHECK(*price.hook_seconds() == Approx(300 * 20e-9 + 100 * 10e-9));
    CHECK_FALSE(price.seconds());
}

TEST_CASE("the start time is field 22, whatever the command is called")
{
    const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
    CHECK(start_ticks("12 (limpet)" + rest) == 4711U);
    CHECK(start_ticks("12 (odd ) name)" + rest) == 4711U);
    CHECK_FALSE(start_ticks(""));
    CHECK_FALSE(start_ticks("12 (limpet) S 1 2"));
}

TEST_CASE("CPU lists")
{
    CHECK(parse_cpu_list("0-3,8\n") == std::vector<uint32_t>{0, 1, 2, 3, 8});
    CHECK(parse_cpu_list("5") == std::vector<uint32_t>{5});
    CHECK(parse_cpu_list("\n").empty());
    CHECK(parse_cpu_list("(null)").empty());
    CHECK(parse_cpu_list("3-x,1") == std::vector<uint32_t>{1});
}

TEST_CASE("a CPU's load is its share of busy ticks")
{
    const auto loads =
        parse_cpu_loads("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 50 0 30 10 10 0 0 0 0 0\ncpu1 0 0 10 90 0 0 0 0 0 0\n"
                        "intr 1 2 3\n");
    REQUIRE(loads.size() == 2);
    CHECK(loads[0].busy == Approx(0.8));
    CHECK(loads[1].cpu == 1);
    CHECK(loads[1].busy == Approx(0.1));
}

TEST_CASE("the automatic CPU is idle, late, and not isolated")
{
    struct Row {
        const char* description;
        std::vector<uint32_t> allowed;
        std::vector<uint32_t> isolated;
        std::vector<CpuLoad> loads;
        uint32_t chosen;
    };
    for (const Row& row : {Row{"the least busy", {0, 1, 2}, {}, {{0, 0.5}, {1, 0.1}, {2, 0.4}}, 1},
                           Row{"the last of equals", {0, 1, 2}, {}, {{0, 0.11}, {1, 0.12}, {2, 0.1}}, 2},
                           Row{"as good as equal counts as equal", {0, 1}, {}, {{0, 0.10}, {1, 0.14}}, 1},
                           Row{"not an isolated one", {0, 1, 2, 3}, {2, 3}, {{0, 0.1}, {1, 0.1}, {2, 0}, {3, 0}}, 1},
                           Row{"unless all are", {2, 3}, {2, 3}, {{2, 0}, {3, 0}}, 3},
                           Row{"only what the process may use", {1}, {}, {{0, 0}, {1, 0.9}}, 1},
                           Row{"no figures at all", {0, 1}, {}, {}, 1}}) {
        INFO(row.description);
        CHECK(choose_cpu(row.allowed, row.isolated, row.loads) == row.chosen);
    }
}

TEST_CASE("listen addresses")
{
    CHECK(parse_listen_address("127.0.0.1:9465")->port == 9465);
    CHECK(parse_listen_address("[::1]:9465")->address.ss_family == AF_INET6);
    CHECK(url_of(*parse_listen_address("0.0.0.0:80")) == "http://127.0.0.1:80");
    CHECK(url_of(*parse_listen_address("[::]:80")) == "http://[::1]:80");
    for (const char* wrong : {"", "9465", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "localhost:80",
                              "::1:80", "[::1:80", "127.0.0.1:80x"}) {
        INFO(wrong);
        CHECK_FALSE(parse_listen_address(wrong));
    }
}

TEST_CASE("a port in use is told with the fix, and so is an address of nobody")
{
    const OwnedFd socket(::socket(AF_INET, SOCK_STREAM, 0));
    ListenAddress any = *parse_listen_address("127.0.0.1:1");
    reinterpret_cast<sockaddr*>(&any.address)->sa_data[0] = 0; // port 0: the kernel chooses
    reinterpret_cast<sockaddr*>(&any.address)->sa_data[1] = 0;
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any.address), any.address_length) == 0);
    REQUIRE(::listen(socket.get(), 1) == 0);
    socklen_t length = any.address_length;
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&any.address), &length) == 0);
    const Done free = check_can_listen(any);
    REQUIRE_FALSE(free);
    CHECK_THAT(free.error().text, Catch::Contains("Address already in use") && Catch::Contains("agent.listen"));

    const Done nobody = check_can_listen(*parse_listen_address("192.0.2.1:9465"));
    REQUIRE_FALSE(nobody);
    CHECK_THAT(nobody.error().text, Catch::Contains("no network interface has this address"));
}

TEST_CASE("HTML is escaped")
{
    CHECK(html_escaped("<b a=\"1\">&") == "&lt;b a=&quot;1&quot;&gt;&amp;");
}

namespace {

ProbeConfig probe(const std::string& name)
{
    ProbeConfig config;
    config.name = name;
    config.enabled = true;
    return config;
}

} // namespace

TEST_CASE("a reload touches only what has changed")
{
    Config before;
    before.probes = {probe("same"), probe("gone"), probe("off"), probe("value"), probe("file"), probe("accepts")};
    before.probes[3].raw["a"] = {{"old.toml", 3, 1}, int64_t{1}, "integer", {"old.toml", 3, 1}};
    Config after = before;
    after.probes.erase(after.probes.begin() + 1);
    after.probes[0].position = {"new.toml", 9, 9}; // where a table stands is no change
    after.probes[1].enabled = false;
    after.probes[2].raw["a"].value = int64_t{2};
    after.probes[3].path = "/elsewhere/file.so";
    after.probes[4].accept = {"degraded"};
    after.probes.push_back(probe("fresh"));
    after.agent.listen = "127.0.0.1:1";

    const ReloadPlan plan = plan_reload(before, after);
    CHECK(plan.stop == std::vector<std::string>{"gone", "off"});
    CHECK(plan.start == std::vector<std::string>{"fresh"});
    CHECK(plan.change == std::vector<std::string>{"value"});
    CHECK(plan.replace == std::vector<std::string>{"file"});
    CHECK(plan.accept == std::vector<std::string>{"accepts"});
    CHECK(plan.needs_restart == std::vector<std::string>{"agent.listen"});
}

TEST_CASE("a verifier log is cut to its end, and the program named")
{
    std::string log = "prog 'on_exec': BPF program load failed: Permission denied\n"
                      "prog 'on_exec': -- BEGIN PROG LOAD LOG --\n";
    for (int i = 0; i < 100; ++i)
        log += std::to_string(i) + ": (b7) r0 = 0\n";
    log += "R1 invalid mem access 'scalar'\nprocessed 100 insns (limit 1000000)\n-- END PROG LOAD LOG --\n"
           "prog 'on_exec': failed to load: -13\nfailed to load object 'exec'\n";
    CHECK(failed_program_of(log) == "on_exec");
    const std::string text = load_failure_text(log, "on_exec", EACCES);
    CHECK_THAT(text, Catch::StartsWith("the kernel's verifier rejects the BPF program on_exec: Permission denied"));
    CHECK_THAT(text, Catch::EndsWith("R1 invalid mem access 'scalar'"));
    CHECK_THAT(text, Catch::Contains("99: (b7)") && !Catch::Contains("80: (b7)"));
}

TEST_CASE("an object without a licence is told the line that it lacks")
{
    const std::string log = "prog 'on_exec': BPF program load failed: Invalid argument\n"
                            "prog 'on_exec': -- BEGIN PROG LOAD LOG --\n"
                            "cannot call GPL-restricted function from non-GPL compatible program\n"
                            "-- END PROG LOAD LOG --\n";
    CHECK_THAT(load_failure_text(log, "on_exec", EINVAL), Catch::Contains("char LICENSE[] SEC(\"license\")"));
}

TEST_CASE("a load that fails before the verifier shows libbpf's words")
{
    const std::string log = "prog 'on_exec': failed to find kernel BTF type ID of 'no_such_tracepoint': -3\n"
                            "prog 'on_exec': failed to prepare load attributes: -3\nfailed to load object 'exec'\n";
    const std::string text = load_failure_text(log, failed_program_of(log), ESRCH);
    CHECK_THAT(text, Catch::StartsWith("the BPF program on_exec does not load: No such process"));
    CHECK_THAT(text, Catch::Contains("no_such_tracepoint"));
    CHECK_THAT(load_failure_text("map 'x': failed to create: Operation not permitted(-1)\n", "", EPERM),
               Catch::StartsWith("the BPF object does not load: Operation not permitted"));
}
