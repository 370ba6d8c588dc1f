// SPDX-License-Identifier: Apache-2.0
//
// What runtimes say about containers, and how limpet asks them: answers that are good, broken, too large, too slow or missing.
#include <atomic>
#include <functional>
#include <poll.h>
#include <thread>

#include <catch2/catch.hpp>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "container_names.hpp"
#include "runtime_socket.hpp"
#include "temporary_directory.hpp"

using namespace limpet;
using namespace std::chrono_literals;

namespace {

const std::string kId(64, 'a');
const std::string kOtherId(64, 'b');

// As dockerd 20.10 answers, shortened.
const std::string kDockerAnswer =
    R"([{"Id":")" + kId +
    R"(","Names":["/other/alias","/web1"],"Image":"nginx","Command":"/bin/sh -c 'TOKEN=secret'","Created":1795508468,)"
    R"("Ports":[],"Labels":{"com.docker.compose.service":"shop","maintainer":"x"},"State":"running","Mounts":[]}])";

std::string ok(const std::string& body)
{
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A Unix socket that answers every connection alike, and keeps it open until the end.
class FakeRuntime {
public:
    // `answer` is called with the request's first line.
    FakeRuntime(const std::filesystem::path& path, std::function<std::string(const std::string&)> answer)
        : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), stop_(::eventfd(0, EFD_CLOEXEC)),
          answer_(std::move(answer))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.string().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
        REQUIRE(::listen(listener_.get(), 8) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeRuntime()
    {
        ::eventfd_write(stop_.get(), 1);
        thread_.join();
    }
    FakeRuntime(const FakeRuntime&) = delete;
    FakeRuntime& operator=(const FakeRuntime&) = delete;

    [[nodiscard]] int requests() const { return requests_; }

private:
    void serve()
    {
        std::vector<OwnedFd> connections;
        for (;;) {
            pollfd ready[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
            if (::poll(ready, 2, -1) < 0 || ready[1].revents != 0)
                return;
            OwnedFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            char request[4096];
            const ssize_t length = ::recv(connection.get(), request, sizeof(request), 0);
            ++requests_;
            const std::string_view text(request, static_cast<size_t>(std::max<ssize_t>(length, 0)));
            const std::string answer = answer_(std::string(text.substr(0, text.find('\r'))));
            (void)::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
            if (!answer.empty())
                ::shutdown(connection.get(), SHUT_WR);
            connections.push_back(std::move(connection));
        }
    }

    OwnedFd listener_;
    OwnedFd stop_;
    std::function<std::string(const std::string&)> answer_;
    std::atomic<int> requests_ = 0;
    std::thread thread_;
};

// Nothing is asked but what a test names.
NamesConfig no_sources()
{
    return {"", "", "", "", 200ms};
}

bool wait_until(const std::function<bool()>& is_so, std::chrono::milliseconds longest = 5000ms)
{
    const auto end = std::chrono::steady_clock::now() + longest;
    while (!is_so() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(10ms);
    return is_so();
}

bool is_called(const ContainerNames& names, const std::string& id, const std::string& container_id)
{
    const auto identity = names.find(id);
    return identity && identity->container_id == container_id;
}

} // namespace

TEST_CASE("a list of containers: ids, names, state and the labels that name things; nothing else")
{
    const auto list = read_container_list(kDockerAnswer);
    REQUIRE(list);
    REQUIRE(list->size() == 1);
    CHECK(list->at(0).id == kId);
    CHECK(list->at(0).name == "web1");
    CHECK(list->at(0).service == "shop");
    CHECK(list->at(0).is_running);
}

TEST_CASE("a list of containers that is broken gives what is sound in it, or an error")
{
    const auto containers = [](const std::string& fields) {
        const auto list = read_container_list("[{\"Id\":\"" + kId + "\"" + fields + "}]");
        REQUIRE(list);
        return list->at(0);
    };
    CHECK_FALSE(read_container_list(""));
    CHECK_FALSE(read_container_list("{}"));
    CHECK_FALSE(read_container_list("[{\"Id\":\"" + kId + "\""));
    CHECK_FALSE(read_container_list("[{\"Id\":\"\xff\"}]"));
    CHECK_FALSE(read_container_list(std::string(100'000, '[')));
    CHECK(read_container_list("[1,null,[],{\"Id\":7},{\"Id\":\"../../etc\"},{\"Names\":[\"/x\"]}]")->empty());
    CHECK(containers(",\"Names\":7").name.empty());
    CHECK(containers(",\"Names\":[7,\"/a/b\",\"\"]").name.empty());
    CHECK(containers(",\"Names\":[\"/a\\nb\"]").name.empty());
    CHECK(containers(",\"Names\":[\"/" + std::string(129, 'x') + "\"]").name.empty());
    CHECK(containers(",\"Labels\":null").service.empty());
    CHECK(containers(",\"Labels\":{\"com.docker.compose.service\":{\"a\":1}}").service.empty());
    CHECK(containers(",\"Labels\":{\"org.opencontainers.image.title\":\"Grafana\"}").service == "Grafana");
    CHECK_FALSE(containers(",\"State\":\"exited\"").is_running);
}

TEST_CASE("Podman's storage: ids and names")
{
    const auto list = read_storage_list(R"([{"id":")" + kId + R"(","names":["web"],"metadata":"{\"name\":\"x\"}"}])");
    REQUIRE(list);
    CHECK(list->at(0).id == kId);
    CHECK(list->at(0).name == "web");
}

TEST_CASE("the kubelet's links name pod, namespace and container")
{
    const ListedContainer container = read_kubernetes_log_name("shop-7d4b9c6f5d-x2x7k_prod_front-end-" + kId + ".log");
    CHECK(container.id == kId);
    CHECK(container.pod_name == "shop-7d4b9c6f5d-x2x7k");
    CHECK(container.pod_namespace == "prod");
    CHECK(container.pod_container == "front-end");
    for (const std::string& other : {std::string(), kId, std::string("a_b_c.log"), "a_b_c-" + kId,
                                     "a_b_c" + kId + ".log", "a_b_-" + kId.substr(1) + ".log"})
        CHECK(read_kubernetes_log_name(other).id.empty());
}

TEST_CASE("the labels of a container")
{
    struct Row {
        const char* description;
        ContainerKind kind;
        ListedContainer container;
        std::string container_id;
        std::string service_name;
    };
    const Row rows[] = {
        {"docker", ContainerKind::kDocker, {kId, "web", "", "", "", ""}, "/docker/web", "web"},
        {"compose", ContainerKind::kDocker, {kId, "p-web-1", "web", "", "", ""}, "/docker/p-web-1", "web"},
        {"podman", ContainerKind::kPodman, {kId, "web", "", "", "", ""}, "/podman/web", "web"},
        {"cri-dockerd", ContainerKind::kDocker, {kId, "k8s_c_p", "", "ns", "p-0", "c"}, "/k8s/ns/p-0/c", "p"},
        {"a pod", ContainerKind::kKubernetes, {kId, "", "", "ns", "p-0", "c"}, "/k8s/ns/p-0/c", "p"},
        {"half a pod", ContainerKind::kKubernetes, {kId, "", "", "ns", "", "c"}, "", ""},
        {"a pod with a slash", ContainerKind::kKubernetes, {kId, "", "", "n/s", "p", "c"}, "", ""},
        {"nothing said", ContainerKind::kDocker, {kId, "", "shop", "", "", ""}, "", ""},
    };
    for (const Row& row : rows) {
        INFO(row.description);
        const CgroupIdentity identity = identity_of_container(row.kind, row.container);
        CHECK(identity.container_id == row.container_id);
        CHECK(identity.service_name == row.service_name);
    }
}

TEST_CASE("a pod's service is what made it")
{
    CHECK(service_of_pod("shop-7d4b9c6f5d-x2x7k") == "shop"); // ReplicaSet
    CHECK(service_of_pod("node-exporter-x2x7k") == "node-exporter");
    CHECK(service_of_pod("postgres-0") == "postgres");
    CHECK(service_of_pod("backup-29384756-x2x7k") == "backup-29384756"); // a CronJob's minute
    CHECK(service_of_pod("just-a-pod") == "just-a-pod");
    CHECK(service_of_pod("web") == "web");
    CHECK(service_of_pod("-0") == "-0");
    CHECK(service_of_pod("") == "");
}

TEST_CASE("a question over a socket ends in time, within its limits, whatever the answer")
{
    const TemporaryDirectory directory;
    const auto path = directory.path() / "s";
    const OwnedFd stop(::eventfd(0, EFD_CLOEXEC));
    const auto error_for = [&](const std::string& answer) {
        const FakeRuntime runtime(path, [&](const std::string&) { return answer; });
        const auto body = get_over_socket(path, "/x", stop.get(), {300ms, 1000});
        std::filesystem::remove(path);
        return body ? "none: " + *body : body.error().text;
    };
    CHECK(error_for(ok("hello")) == "none: hello");
    CHECK(error_for("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") == "none: hello");
    CHECK(error_for("HTTP/1.0 200 OK\r\n\r\nuntil the end") == "none: until the end");
    CHECK_THAT(error_for(""), Catch::EndsWith("no whole answer within 300 ms"));
    CHECK_THAT(error_for("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Catch::EndsWith("has status 404"));
    CHECK_THAT(error_for(ok(std::string(1001, 'x'))), Catch::EndsWith("larger than 1000 bytes"));
    CHECK_THAT(error_for("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nhello"),
               Catch::EndsWith("larger than 1000 bytes"));
    CHECK_THAT(error_for("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\nhello"),
               Catch::EndsWith("larger than 1000 bytes"));
    CHECK_THAT(error_for("HTTP/1.0 200 OK\r\n\r\n" + std::string(2000, 'x')),
               Catch::EndsWith("larger than 1000 bytes"));
    CHECK_THAT(error_for("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), Catch::Contains("not HTTP"));
    CHECK_THAT(error_for("HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'x')), Catch::Contains("not HTTP"));
    CHECK_THAT(error_for("SSH-2.0-OpenSSH\r\n"), Catch::Contains("not HTTP"));
    CHECK_THAT(error_for(std::string(100, '\0')), Catch::Contains("not HTTP"));

    CHECK_THAT(get_over_socket(path, "/x", stop.get()).error().text, Catch::EndsWith("No such file or directory"));
    CHECK_THAT(get_over_socket(path.string() + std::string(200, 'x'), "/x", stop.get()).error().text,
               Catch::Contains("too long"));
}

TEST_CASE("a container gets its name, then its new name, and keeps it when it is gone")
{
    const TemporaryDirectory directory;
    std::mutex mutex;
    std::string answer = kDockerAnswer;
    std::string asked;
    const FakeRuntime runtime(directory.path() / "s", [&](const std::string& line) {
        const std::lock_guard lock(mutex);
        asked = line;
        return ok(answer);
    });
    NamesConfig config = no_sources();
    config.docker_socket = directory.path() / "s";
    ContainerNames names(config);
    const auto set_answer = [&](const std::string& text) {
        const std::lock_guard lock(mutex);
        answer = text;
    };
    CHECK_FALSE(names.find(kId));
    names.want({ContainerKind::kDocker, kId});
    names.want({ContainerKind::kNone, ""});
    names.want({ContainerKind::kOther, kOtherId});
    REQUIRE(wait_until([&] { return is_called(names, kId, "/docker/web1"); }));
    CHECK(names.find(kId)->service_name == "shop");
    CHECK(names.version() == 1);
    CHECK(asked == "GET /containers/json?all=1&filters=%7B%22id%22%3A%5B%22" + kId + "%22%5D%7D HTTP/1.1");

    set_answer("[{\"Id\":\"" + kId + "\",\"Names\":[\"/renamed\"]}]");
    CHECK(wait_until([&] { return is_called(names, kId, "/docker/renamed"); }, 1500ms));
    CHECK(names.version() == 2);

    set_answer("[]");
    int before = runtime.requests();
    REQUIRE(wait_until([&] { return runtime.requests() > before; }));
    std::this_thread::sleep_for(300ms); // the first question may have had the old answer
    before = runtime.requests();
    std::this_thread::sleep_for(500ms);
    CHECK(runtime.requests() == before); // it is asked for no more
    CHECK(is_called(names, kId, "/docker/renamed"));
}

TEST_CASE("a runtime is asked for what is wanted, and believed for nothing else")
{
    const TemporaryDirectory directory;
    const FakeRuntime runtime(directory.path() / "s", [&](const std::string&) { return ok(kDockerAnswer); });
    NamesConfig config = no_sources();
    config.docker_socket = directory.path() / "s";
    ContainerNames names(config);
    names.want({ContainerKind::kDocker, kOtherId});
    REQUIRE(wait_until([&] { return runtime.requests() > 0; }));
    std::this_thread::sleep_for(100ms);
    CHECK_FALSE(names.find(kOtherId));
    CHECK_FALSE(names.find(kId));
}

TEST_CASE("a runtime that fails is left alone for longer and longer, and asked again later")
{
    const TemporaryDirectory directory;
    std::atomic<bool> is_well = false;
    const FakeRuntime runtime(directory.path() / "s", [&](const std::string&) {
        return is_well ? ok(kDockerAnswer) : std::string("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    });
    NamesConfig config = no_sources();
    config.docker_socket = directory.path() / "s";
    ContainerNames names(config);
    names.want({ContainerKind::kDocker, kId});
    std::this_thread::sleep_for(1500ms);
    CHECK(runtime.requests() == 2); // at 0 and 1 s
    is_well = true;
    std::this_thread::sleep_for(1000ms);
    CHECK(runtime.requests() == 2);
    CHECK(wait_until([&] { return is_called(names, kId, "/docker/web1"); }, 2000ms)); // at 3 s
}

TEST_CASE("an agent that stops does not wait for a runtime that hangs")
{
    const TemporaryDirectory directory;
    const FakeRuntime runtime(directory.path() / "s", [](const std::string&) { return ""; });
    NamesConfig config = no_sources();
    config.docker_socket = directory.path() / "s";
    std::chrono::steady_clock::time_point begin;
    {
        ContainerNames names(config);
        names.want({ContainerKind::kDocker, kId});
        REQUIRE(wait_until([&] { return runtime.requests() == 1; }));
        begin = std::chrono::steady_clock::now();
    }
    CHECK(std::chrono::steady_clock::now() - begin < 500ms);
}

TEST_CASE("Podman's storage names its containers without a socket, and its socket adds their labels once")
{
    const TemporaryDirectory directory;
    const auto stored = [&](const std::string& name) {
        directory.write("storage/overlay-containers/containers.json",
                        R"([{"id":")" + kId + R"(","names":[")" + name + R"("]}])");
    };
    stored("web");
    NamesConfig config = no_sources();
    config.podman_storage = directory.path() / "storage";
    config.podman_socket = directory.path() / "s";
    ContainerNames names(config);
    names.want({ContainerKind::kPodman, kId});
    REQUIRE(wait_until([&] { return is_called(names, kId, "/podman/web"); }));
    CHECK(names.find(kId)->service_name == "web");

    const FakeRuntime runtime(config.podman_socket, [&](const std::string&) { return ok(kDockerAnswer); });
    REQUIRE(wait_until([&] { return names.find(kId)->service_name == "shop"; }));
    CHECK(is_called(names, kId, "/podman/web"));
    stored("renamed");
    REQUIRE(wait_until([&] { return is_called(names, kId, "/podman/renamed"); }));
    CHECK(runtime.requests() == 1);
}

TEST_CASE("a pod's container is named by the kubelet's link")
{
    const TemporaryDirectory directory;
    directory.write("logs/shop-0_prod_front-" + kId + ".log", "");
    NamesConfig config = no_sources();
    config.kubernetes_logs = directory.path() / "logs";
    ContainerNames names(config);
    names.want({ContainerKind::kKubernetes, kId});
    names.want({ContainerKind::kKubernetes, kOtherId});
    REQUIRE(wait_until([&] { return is_called(names, kId, "/k8s/prod/shop-0/front"); }));
    CHECK(names.find(kId)->service_name == "shop");
    directory.write("logs/shop-1_prod_front-" + kOtherId + ".log", "");
    CHECK(wait_until([&] { return is_called(names, kOtherId, "/k8s/prod/shop-1/front"); }));
}
