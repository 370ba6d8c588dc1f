// SPDX-License-Identifier: Apache-2.0
//
// LIMPET_RESTS_AT on the running kernel: programs go and come back with the level. Needs root.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "../core/object_file.hpp"
#include "bpf_object.hpp"
#include "host_checks.hpp"
#include "owned_fd.hpp"
#include "probe_object.hpp"
#include "resting_programs.hpp"
#include "taken.hpp"

namespace limpet::test {
namespace {

class Resting {
public:
    Resting()
        : cgroup_(::open(read_host_facts({}).cgroup_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
          bytes_(contents_of(LIMPET_TEST_OBJECT)), object_(taken(BpfObject::open(bytes_, "resting")))
    {
        taken(object_.resize_map("limpet_stats", possible_cpus()));
        taken(object_.load());
        for (const std::string& program : object_.program_names())
            taken(object_.attach(program, cgroup_.get()));
        programs_ = RestingPrograms::in(object_);
    }

    Done follow(uint32_t level) { return programs_.follow(level, object_, cgroup_.get()); }
    Done follow_without_cgroup(uint32_t level) { return programs_.follow(level, object_, -1); }
    [[nodiscard]] bool is_attached(const char* program) const { return object_.is_attached(program); }
    [[nodiscard]] const RestingPrograms& programs() const { return programs_; }

    // That on_exec has seen, when a program is started once.
    uint64_t execs_seen()
    {
        const auto* execs = reinterpret_cast<const uint64_t*>(object_.live_variable("execs").data());
        const uint64_t before = *execs;
        if (std::system(":")) // the shell is one
            throw std::runtime_error("cannot start a program");
        return __atomic_load_n(execs, __ATOMIC_RELAXED) - before;
    }

private:
    OwnedFd cgroup_;
    std::vector<std::byte> bytes_;
    BpfObject object_;
    RestingPrograms programs_;
};

} // namespace

TEST_CASE("a program is detached from its level on, runs again below it, and others stay")
{
    Resting resting;
    CHECK(resting.execs_seen() > 0);
    for (int round = 0; round < 3; ++round) {
        REQUIRE(resting.follow(4));
        CHECK_FALSE(resting.is_attached("on_exec"));
        CHECK(resting.is_attached("on_connect"));
        CHECK(resting.execs_seen() == 0);
        REQUIRE(resting.follow(15));
        CHECK_FALSE(resting.is_attached("on_connect"));
        CHECK(resting.is_attached("on_exit"));
        REQUIRE(resting.follow(0));
        CHECK(resting.is_attached("on_connect"));
        CHECK(resting.execs_seen() > 0);
    }
}

TEST_CASE("what cannot be attached again is told, keeps nothing else from it, and may come with the next call")
{
    Resting resting;
    REQUIRE(resting.follow(5));
    const Done failed = resting.follow_without_cgroup(0);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().text.find("on_connect") != std::string::npos);
    CHECK_FALSE(resting.is_attached("on_connect"));
    CHECK(resting.is_attached("on_exec"));
    REQUIRE(resting.follow(0));
    CHECK(resting.is_attached("on_connect"));
}

TEST_CASE("it is known which programs rest, and which go on")
{
    const Resting resting;
    CHECK(resting.programs().at(1).empty());
    CHECK(resting.programs().at(2) == std::vector<std::string>{"on_exec"});
    CHECK(resting.programs().at(5).size() == 2);
    CHECK(resting.programs().any_goes_on(2, 1));
    CHECK_FALSE(resting.programs().any_goes_on(4, 2));
    CHECK(resting.programs().any_goes_on(6, 4));
    CHECK_FALSE(resting.programs().any_goes_on(0, 6));
}

} // namespace limpet::test
