// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <limpet/plugin.hpp>

#include "fake_host.hpp"

using limpet::Status;
using limpet::test::FakeHost;
using limpet::test::Sample;

namespace {

// A probe that fails in the way that the config key "how" says, wherever it is called.
class Fickle {
public:
    explicit Fickle(limpet::Host host) : host_(host)
    {
        if (host_.config<std::string>("where") == "constructor")
            (void)misbehave();
    }
    Status configure() { return misbehave(); }
    Status start() { return misbehave(); }
    void on_event(limpet::Event) { (void)misbehave(); }
    void collect() { (void)misbehave(); }
    Status reconfigure() { return misbehave(); }
    void stop() { (void)misbehave(); }

private:
    Status misbehave() const
    {
        const auto how = host_.config<std::string>("how");
        if (how == "throw an error")
            throw std::runtime_error("the disk is on fire");
        if (how == "run out of memory")
            throw std::bad_alloc();
        if (how == "throw a failure")
            throw limpet::Failure(Status::unsupported("no such tracepoint"));
        if (how == "throw a number")
            throw 7; // NOLINT: a probe may throw anything
        if (how == "return a failure")
            return Status::bad_config("routes: not a path");
        return Status::ok();
    }

    limpet::Host host_;
};

// Overrides nothing.
class Silent {
public:
    explicit Silent(limpet::Host) {}
};

// Uses all of the host.
class Busy {
public:
    explicit Busy(limpet::Host host) : host_(host) {}
    void on_event(limpet::Event event)
    {
        if (const auto* number = event.as<uint64_t>())
            sum_ += *number;
    }
    void collect()
    {
        host_.sample("busy_sum", 3, {{"state", "idle"}, {"cpu", "0"}}, static_cast<double>(sum_));
        host_.sample("busy_bare", limpet::kNoWorkload, {}, 1.5);
    }

private:
    limpet::Host host_;
    uint64_t sum_ = 0;
};

constexpr limpet_plugin kFickle = limpet::describe<Fickle>("fickle", "1.0.0");
constexpr limpet_plugin kSilent = limpet::describe<Silent>("silent", "1.0.0");
constexpr limpet_plugin kBusy = limpet::describe<Busy>("busy", "1.0.0");

struct Misdeed {
    const char* how;
    limpet_status status;
    const char* reason;
};
constexpr Misdeed kMisdeeds[] = {
    {"throw an error", LIMPET_INTERNAL, "the disk is on fire"},
    {"run out of memory", LIMPET_RESOURCE, "out of memory"},
    {"throw a failure", LIMPET_UNSUPPORTED, "no such tracepoint"},
    {"throw a number", LIMPET_INTERNAL, "an exception that is not a std::exception"},
    {"return a failure", LIMPET_BAD_CONFIG, "routes: not a path"},
    {"nothing", LIMPET_OK, ""},
};

// A Fickle that behaves until `host.texts["how"]` is changed.
void* well_behaved(FakeHost& host)
{
    host.texts = {{"where", "later"}, {"how", "nothing"}};
    void* instance = nullptr;
    REQUIRE(kFickle.operations->create(&host, &instance) == LIMPET_OK);
    return instance;
}

} // namespace

TEST_CASE("the descriptor is a compile-time constant that says what it was compiled for")
{
    static_assert(kFickle.magic == LIMPET_MAGIC);
    CHECK(kFickle.size_bytes == sizeof(limpet_plugin));
    CHECK(kFickle.abi_major == LIMPET_ABI_MAJOR);
    CHECK(kFickle.abi_minor == LIMPET_ABI_MINOR);
    CHECK(kFickle.name == std::string("fickle"));
    CHECK(kFickle.operations->size_bytes == sizeof(limpet_operations));
}

TEST_CASE("a method that a probe does not have is not in the table")
{
    CHECK(kSilent.operations->create != nullptr);
    CHECK(kSilent.operations->destroy != nullptr);
    CHECK(kSilent.operations->configure == nullptr);
    CHECK(kSilent.operations->start == nullptr);
    CHECK(kSilent.operations->on_event == nullptr);
    CHECK(kSilent.operations->collect == nullptr);
    CHECK(kSilent.operations->reconfigure == nullptr);
    CHECK(kSilent.operations->stop == nullptr);
}

TEST_CASE("what a constructor throws becomes the status of create and a reason")
{
    for (const Misdeed& misdeed : kMisdeeds) {
        if (misdeed.how == std::string("return a failure"))
            continue; // a constructor cannot
        INFO(misdeed.how);
        FakeHost host;
        host.texts = {{"where", "constructor"}, {"how", misdeed.how}};
        void* instance = nullptr;
        CHECK(kFickle.operations->create(&host, &instance) == misdeed.status);
        CHECK(host.failure == misdeed.reason);
        if (misdeed.status == LIMPET_OK)
            kFickle.operations->destroy(instance);
    }
}

TEST_CASE("what configure, start and reconfigure throw or return becomes their status and a reason")
{
    for (const auto call :
         {kFickle.operations->configure, kFickle.operations->start, kFickle.operations->reconfigure}) {
        for (const Misdeed& misdeed : kMisdeeds) {
            INFO(misdeed.how);
            FakeHost host;
            void* instance = well_behaved(host);
            host.texts["how"] = misdeed.how;
            CHECK(call(instance) == misdeed.status);
            CHECK(host.failure == misdeed.reason);
            kFickle.operations->destroy(instance);
        }
    }
}

TEST_CASE("what on_event, collect and stop throw is logged once and goes no further")
{
    FakeHost host;
    void* instance = well_behaved(host);
    host.texts["how"] = "throw an error";
    kFickle.operations->on_event(instance, nullptr, 0);
    kFickle.operations->on_event(instance, nullptr, 0);
    kFickle.operations->collect(instance);
    kFickle.operations->stop(instance);
    kFickle.operations->destroy(instance);
    CHECK(host.log_lines == std::vector<std::string>{"on_event threw: the disk is on fire (said once)"});
}

TEST_CASE("a host table that is shorter than that of minor 0 is refused, not read")
{
    FakeHost host;
    host.size_bytes = offsetof(limpet_host, now_ns);
    void* instance = nullptr;
    CHECK(kSilent.operations->create(&host, &instance) == LIMPET_UNSUPPORTED);
    CHECK(instance == nullptr);
}

TEST_CASE("the name behind an address, and none from a table that ends before that function")
{
    FakeHost fake;
    std::array<uint8_t, 16> address{};
    address[15] = 7;
    fake.names[{address.begin(), address.end()}] = "seven.test";
    const limpet::Host host(&fake);
    CHECK(host.name_of(address) == "seven.test");
    CHECK(host.name_of({}).empty());
    fake.size_bytes = offsetof(limpet_host, name_of);
    CHECK(host.name_of(address).empty());
}

TEST_CASE("config values come typed, and an undeclared key names itself")
{
    FakeHost fake;
    fake.integers = {{"count", -5}};
    fake.numbers = {{"interval", 0.25}};
    fake.booleans = {{"fast", true}};
    fake.texts = {{"mode", "loud"}, {"empty", ""}};
    fake.lists = {{"routes", {"/a", "/b"}}};
    const limpet::Host host(&fake);

    CHECK(host.config<int64_t>("count") == -5);
    CHECK(host.config<double>("interval") == 0.25);
    CHECK(host.config<std::chrono::nanoseconds>("interval") == std::chrono::milliseconds(250));
    CHECK(host.config<bool>("fast"));
    CHECK(host.config<std::string>("mode") == "loud");
    CHECK(host.config<std::string>("empty").empty());
    CHECK(host.config<std::vector<std::string>>("routes") == std::vector<std::string>{"/a", "/b"});
    CHECK_THROWS_WITH(host.config<int64_t>("mode"), "config key mode: not declared as integer");
}

TEST_CASE("a map is seen with its stride, and only as a type that fits")
{
    struct Wide {
        uint32_t value;
        uint32_t padding;
    };
    const Wide elements[] = {{1, 0}, {2, 0}, {4, 0}};
    FakeHost fake;
    fake.maps["rows"] = {elements, sizeof(Wide), 3, 0};
    const limpet::Host host(&fake);

    const auto rows = host.map_view<uint32_t>("rows"); // shorter than the stride
    uint32_t sum = 0;
    for (const uint32_t row : rows)
        sum += row;
    CHECK(sum == 7);
    CHECK(rows.size() == 3);
    CHECK(rows[2] == 4);
    CHECK_THROWS_AS(host.map_view<limpet_host>("rows"), limpet::Failure);
    CHECK_THROWS_AS(host.map_view<uint32_t>("columns"), limpet::Failure);
}

TEST_CASE("events and samples arrive as they were sent, short events are not read")
{
    FakeHost host;
    void* instance = nullptr;
    REQUIRE(kBusy.operations->create(&host, &instance) == LIMPET_OK);
    const uint64_t number = 20;
    kBusy.operations->on_event(instance, &number, sizeof(number));
    kBusy.operations->on_event(instance, &number, sizeof(number) - 1);
    kBusy.operations->collect(instance);
    kBusy.operations->destroy(instance);

    CHECK(host.samples == std::vector<Sample>{
                              {"busy_sum", 3, {{"state", "idle"}, {"cpu", "0"}}, 20.0},
                              {"busy_bare", LIMPET_NO_WORKLOAD, {}, 1.5},
                          });
}
