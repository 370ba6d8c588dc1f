// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "capability.hpp"
#include "host_checks.hpp"
#include "temporary_directory.hpp"

using namespace limpet;

namespace {

HostFacts good_host()
{
    HostFacts facts;
    facts.is_root = true;
    facts.effective_capabilities = ~uint64_t{0};
    facts.has_kernel_btf = true;
    facts.cgroup_root = "/sys/fs/cgroup";
    facts.cgroup_root_is_cgroup2 = true;
    facts.cgroup_root_inode = 1;
    facts.cgroup_namespace = "cgroup:[4026531835]";
    facts.pid_namespace = "pid:[4026531836]";
    return facts;
}

std::string only_error(const HostFacts& facts)
{
    const std::vector<Error> errors = check_host(facts, core_capabilities());
    REQUIRE(errors.size() == 1);
    return errors[0].text;
}

} // namespace

TEST_CASE("A host that has everything is fine")
{
    CHECK(check_host(good_host(), core_capabilities()).empty());
}

TEST_CASE("Without root the missing capabilities and the remedy are named")
{
    HostFacts facts = good_host();
    facts.is_root = false;
    facts.effective_capabilities = 0;
    CHECK_THAT(only_error(facts), Catch::StartsWith("not root, and without CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN") &&
                                      Catch::Contains("sudo limpet run"));
}

TEST_CASE("Root in a container without the capabilities is told so")
{
    HostFacts facts = good_host();
    facts.effective_capabilities = uint64_t{1} << *capability_number("CAP_NET_ADMIN");
    CHECK_THAT(only_error(facts),
               Catch::StartsWith("root, but without CAP_BPF, CAP_PERFMON:") && Catch::Contains("--privileged"));
}

TEST_CASE("CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON but not for CAP_NET_ADMIN")
{
    HostFacts facts = good_host();
    facts.effective_capabilities = uint64_t{1} << *capability_number("CAP_SYS_ADMIN");
    CHECK_THAT(only_error(facts), Catch::StartsWith("root, but without CAP_NET_ADMIN:"));
}

TEST_CASE("Each thing that a host lacks has its own message")
{
    HostFacts facts = good_host();
    SECTION("BTF") {
        facts.has_kernel_btf = false;
        CHECK_THAT(only_error(facts),
                   Catch::Contains("/sys/kernel/btf/vmlinux") && Catch::Contains("CONFIG_DEBUG_INFO_BTF"));
    }
    SECTION("a cgroup2 mount") {
        facts.cgroup_root.clear();
        CHECK_THAT(only_error(facts), Catch::Contains("mount -t cgroup2"));
    }
    SECTION("a cgroup2 file system at the configured place") {
        facts.cgroup_root_is_cgroup2 = false;
        CHECK_THAT(only_error(facts), Catch::Contains("agent.cgroup_root"));
    }
    SECTION("the root of the hierarchy") {
        facts.cgroup_root_inode = 42;
        CHECK_THAT(only_error(facts), Catch::Contains("inode 42") && Catch::Contains("--cgroupns=host"));
    }
    SECTION("the host's cgroup namespace") {
        facts.cgroup_namespace = "cgroup:[4026532500]";
        CHECK_THAT(only_error(facts),
                   Catch::Contains("private cgroup namespace") && Catch::Contains("--cgroupns=host"));
    }
    SECTION("the host's pid namespace") {
        facts.pid_namespace = "pid:[4026532501]";
        CHECK_THAT(only_error(facts), Catch::Contains("private pid namespace") && Catch::Contains("--pid=host"));
    }
}

TEST_CASE("The cgroup2 mount is found beside cgroup v1, with escapes, and at the hierarchy's root first")
{
    CHECK(find_cgroup2_mount("32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
                             "41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 master:1 - cgroup2 cgroup2 rw\n") ==
          "/sys/fs/cgroup/unified");
    CHECK(find_cgroup2_mount("41 31 0:38 /user.slice /a rw - cgroup2 cgroup2 rw\n"
                             "42 31 0:38 / /b\\040c rw - cgroup2 cgroup2 rw\n") == "/b c");
    CHECK(find_cgroup2_mount("41 31 0:38 /user.slice /a rw - cgroup2 cgroup2 rw\n") == "/a");
    CHECK(find_cgroup2_mount("41 31 0:38 / /cgroup2 rw - tmpfs - cgroup2 rw\n").empty());
    CHECK(find_cgroup2_mount("").empty());
    CHECK(find_cgroup2_mount("- cgroup2 \n - cgroup2 \n1 2 3\n").empty());
}

TEST_CASE("Facts are read from files, and missing files leave a host that is refused")
{
    const TemporaryDirectory directory;
    directory.write("proc/self/status", "Name:\tlimpet\nCapInh:\t0\nCapEff:\t000000c000001000\nSeccomp:\t0\n");
    directory.write("proc/self/mountinfo", "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n");
    directory.write("sys/kernel/btf/vmlinux", "x");
    const HostFacts facts = read_host_facts("", directory.path());
    CHECK(facts.effective_capabilities == 0xc000001000);
    CHECK(facts.has_kernel_btf);
    CHECK(facts.cgroup_root == "/cg");
    CHECK_FALSE(facts.cgroup_root_is_cgroup2);
    CHECK(read_host_facts("/named", directory.path()).cgroup_root == "/named");
    CHECK(check_host(read_host_facts("", directory.path() / "nothing"), core_capabilities()).size() == 3);
}
