// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include <catch2/catch.hpp>

#include "plugin_instance.hpp"
#include "workloads.hpp"

using namespace limpet;

namespace {

template <typename T>
T taken(Result<T> result)
{
    return std::move(*result);
}

limpet_text text(const char* characters)
{
    return {characters, std::char_traits<char>::length(characters)};
}

// A probe of plain functions; what they are to do is said here.
struct Script {
    const limpet_host* host = nullptr;
    std::function<limpet_status()> on_call = [] { return limpet_status{LIMPET_OK}; };
    std::vector<std::string> calls;
};
Script* script = nullptr; // the C functions have nowhere else to look before `create`

limpet_status called(const char* name)
{
    script->calls.emplace_back(name);
    return script->on_call();
}

const limpet_operations kOperations = {
    .size_bytes = sizeof(limpet_operations),
    .reserved = 0,
    .create =
        [](const limpet_host* host, void** instance) {
            script->host = host;
            *instance = script;
            return called("create");
        },
    .destroy = [](void*) { (void)called("destroy"); },
    .configure = [](void*) { return called("configure"); },
    .start = [](void*) { return called("start"); },
    .on_event = [](void*, const void*, size_t) { (void)called("on_event"); },
    .collect = [](void*) { (void)called("collect"); },
    .reconfigure = [](void*) { return called("reconfigure"); },
    .stop = [](void*) { (void)called("stop"); },
};
const limpet_plugin kPlugin = {LIMPET_MAGIC, sizeof(limpet_plugin), LIMPET_ABI_MAJOR, LIMPET_ABI_MINOR, 0, "test",
                               "1.0.0",      &kOperations};

Manifest manifest()
{
    Manifest manifest;
    manifest.name = "test";
    manifest.metrics = {{"test_open", "gauge", "1", "Open.", {"kind"}},
                        {"test_done_total", "counter", "1", "Done.", {}}};
    return manifest;
}

// One address has a name, one a name that is no UTF-8.
std::string name_of(const uint8_t* address)
{
    return address[15] == 1 ? "one.test" : address[15] == 2 ? "tw\xff" : "";
}

struct Fixture {
    Script steps;
    Workloads workloads{taken(CgroupPaths::open("/")), MappedMap()};
    std::unique_ptr<PluginInstance> instance;

    explicit Fixture(const std::map<std::string, ConfigValue>& values = {}, uint32_t limit = 4)
    {
        script = &steps;
        instance = std::make_unique<PluginInstance>(&kPlugin,
                                                    std::make_unique<PluginHost>(manifest(), values, limit, name_of));
    }
    std::vector<prometheus::MetricFamily> collect()
    {
        Families families;
        (void)instance->collect(workloads, families);
        return families.take();
    }
};

} // namespace

TEST_CASE("an instance is stopped and destroyed once, in this order")
{
    Fixture test;
    REQUIRE(test.instance->create());
    REQUIRE(test.instance->configure());
    REQUIRE(test.instance->start(nullptr));
    test.instance->stop();
    test.instance.reset();
    CHECK(test.steps.calls == std::vector<std::string>{"create", "configure", "start", "stop", "destroy"});
}

TEST_CASE("what failed in create is not destroyed, and its reason is passed on")
{
    Fixture test;
    test.steps.on_call = [&test] {
        test.steps.host->fail(test.steps.host, text("no such\ndevice"));
        return limpet_status{LIMPET_UNSUPPORTED};
    };
    const Done created = test.instance->create();
    REQUIRE_FALSE(created);
    CHECK(created.error().error_number == EOPNOTSUPP);
    CHECK(created.error().text == "no such device");
    test.instance.reset();
    CHECK(test.steps.calls == std::vector<std::string>{"create"});
}

TEST_CASE("variables of the BPF object can be set in configure, and at no other time")
{
    Fixture test;
    int32_t heard = -1;
    test.steps.on_call = [&] {
        heard = test.steps.host->set_variable(test.steps.host, text("wanted"), "abc", 3);
        return limpet_status{LIMPET_OK};
    };
    REQUIRE(test.instance->create());
    CHECK(heard == 0);
    REQUIRE(test.instance->configure());
    CHECK(heard == 1);
    const auto& variables = test.instance->host().variables();
    REQUIRE(variables.count("wanted") == 1);
    CHECK(variables.at("wanted") == std::vector<std::byte>{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}});
    REQUIRE(test.instance->start(nullptr));
    CHECK(heard == 0);
}

TEST_CASE("a failure without a reason names the call")
{
    Fixture test;
    test.steps.on_call = [] { return limpet_status{LIMPET_BAD_CONFIG}; };
    CHECK(test.instance->configure().error().text == "configure cannot use its configuration and gave no reason");
}

TEST_CASE("whatever is thrown stays behind the guard, and no further call is made")
{
    Fixture test;
    REQUIRE(test.instance->create());
    test.steps.on_call = []() -> limpet_status { throw std::runtime_error("out of cheese"); };
    const Done taken = test.instance->on_event(nullptr, 0);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().text == "on_event threw an exception: out of cheese");
    CHECK(test.instance->has_thrown());
    CHECK(test.collect().empty());
    test.instance.reset();
    CHECK(test.steps.calls == std::vector<std::string>{"create", "on_event"});
}

TEST_CASE("something thrown that is no exception is told as such")
{
    Fixture test;
    test.steps.on_call = []() -> limpet_status { throw 3; };
    CHECK_THAT(test.instance->create().error().text, Catch::Contains("no std::exception"));
}

TEST_CASE("config values come out with their types only")
{
    Fixture test({{"count", int64_t{-3}},
                  {"ratio", 0.5},
                  {"on", true},
                  {"mode", std::string("fast")},
                  {"names", std::vector<std::string>{"a", "b"}},
                  {"bounds", std::vector<double>{0.1, 1, 2.5}}});
    REQUIRE(test.instance->create());
    const limpet_host* host = test.steps.host;
    int64_t integer = 0;
    double number = 0;
    int32_t boolean = 0;
    limpet_text out{};
    CHECK((host->config_integer(host, text("count"), &integer) == 1 && integer == -3));
    CHECK((host->config_number(host, text("ratio"), &number) == 1 && number == 0.5));
    CHECK((host->config_boolean(host, text("on"), &boolean) == 1 && boolean == 1));
    CHECK((host->config_text(host, text("mode"), &out) == 1 && std::string(out.data, out.length) == "fast"));
    CHECK((host->config_item(host, text("names"), 1, &out) == 1 && std::string(out.data, out.length) == "b"));
    CHECK((host->config_item(host, text("bounds"), 0, &out) == 1 && std::string(out.data, out.length) == "0.1"));
    CHECK(host->config_item(host, text("bounds"), 3, &out) == 0);
    CHECK(host->config_integer(host, text("ratio"), &integer) == 0);
    CHECK(host->config_text(host, text("nothing"), &out) == 0);
    limpet_map_view view{};
    CHECK(host->map_view(host, text("no_map"), &view) == 0);
}

TEST_CASE("samples with equal labels are added up; undeclared ones are dropped and counted")
{
    Fixture test({}, 2);
    REQUIRE(test.instance->create());
    const limpet_host* host = test.steps.host;
    test.steps.on_call = [host] {
        const limpet_label in[] = {{text("kind"), text("in")}};
        const limpet_label out[] = {{text("kind"), text("o\xff")}};
        const limpet_label wrong[] = {{text("colour"), text("red")}};
        host->sample(host, text("test_open"), 0, in, 1, 2);
        host->sample(host, text("test_open"), 7, in, 1, 3); // an unknown workload has the same name
        host->sample(host, text("test_open"), LIMPET_NO_WORKLOAD, out, 1, 4);
        host->sample(host, text("test_open"), 0, wrong, 1, 1);
        host->sample(host, text("nobody_declared_me"), 0, nullptr, 0, 1);
        return limpet_status{LIMPET_OK};
    };
    const auto families = test.collect();
    REQUIRE(families.size() == 1);
    REQUIRE(families[0].metric.size() == 2);
    CHECK(families[0].metric[0].gauge.value == 5);
    CHECK(families[0].metric[0].label.size() == 3);
    CHECK(families[0].metric[1].label[0].value == "o\xef\xbf\xbd");
    CHECK(test.instance->host().dropped_samples() == 2);
    CHECK(test.instance->host().samples() == 2);
}

TEST_CASE("samples over the limit are added up under other, and counted")
{
    Fixture test({}, 2);
    REQUIRE(test.instance->create());
    const limpet_host* host = test.steps.host;
    test.steps.on_call = [host] {
        for (const char* kind : {"a", "b", "c", "d", "a", "d"}) {
            const limpet_label label[] = {{text("kind"), text(kind)}};
            host->sample(host, text("test_open"), LIMPET_NO_WORKLOAD, label, 1, 1);
        }
        return limpet_status{LIMPET_OK};
    };
    const auto families = test.collect();
    REQUIRE(families.size() == 1);
    REQUIRE(families[0].metric.size() == 3);
    CHECK(families[0].metric[0].label[0].value == "a");
    CHECK(families[0].metric[0].gauge.value == 2); // known before the limit
    CHECK(families[0].metric[2].label[0].value == "other");
    CHECK(families[0].metric[2].gauge.value == 3);
    CHECK(test.instance->host().dropped_samples() == 3);
}

TEST_CASE("samples outside of collect are not heard")
{
    Fixture test;
    REQUIRE(test.instance->create());
    test.steps.host->sample(test.steps.host, text("test_open"), 0, nullptr, 0, 1);
    test.steps.on_call = [] { return limpet_status{LIMPET_OK}; };
    CHECK(test.collect().empty());
    CHECK(test.instance->host().dropped_samples() == 1);
}

TEST_CASE("operations that an old probe does not know are not called")
{
    limpet_operations old = kOperations;
    old.size_bytes = offsetof(limpet_operations, collect);
    const limpet_plugin plugin = {LIMPET_MAGIC, sizeof(limpet_plugin), 1, 0, 0, "test", "1.0.0", &old};
    Fixture test;
    test.instance = std::make_unique<PluginInstance>(
        &plugin, std::make_unique<PluginHost>(manifest(), std::map<std::string, ConfigValue>{}, 4, name_of));
    REQUIRE(test.instance->create());
    CHECK(test.collect().empty());
    CHECK_FALSE(test.instance->can_reconfigure());
    test.instance->stop();
    CHECK(test.steps.calls == std::vector<std::string>{"create"});
}

TEST_CASE("the name behind an address, and 0 where none is known")
{
    Fixture test;
    REQUIRE(test.instance->create());
    const limpet_host* host = test.steps.host;
    uint8_t address[16] = {};
    limpet_text out{"before", 6};
    CHECK(host->name_of(host, address, &out) == 0);
    CHECK(std::string(out.data, out.length) == "before");
    address[15] = 1;
    CHECK((host->name_of(host, address, &out) == 1 && std::string(out.data, out.length) == "one.test"));
    address[15] = 2;
    CHECK((host->name_of(host, address, &out) == 1 && std::string(out.data, out.length) == "tw\xef\xbf\xbd"));
}
