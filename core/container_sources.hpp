// SPDX-License-Identifier: Apache-2.0
//
// Where the names of containers are: Docker's and Podman's sockets, Podman's storage, the kubelet's directory of logs.
//
// Owner: ContainerNames, whose thread is the only one that calls it: it reads files and waits for sockets. A socket that does
// not answer is left alone for a while, for longer each time, and is complained about once.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "config.hpp"
#include "container_listing.hpp"
#include "result.hpp"

namespace limpet {

// The API of Docker, which Podman speaks too, behind one socket.
class RuntimeApi {
public:
    RuntimeApi(std::string runtime, std::filesystem::path socket, int stop_fd)
        : runtime_(std::move(runtime)), socket_(std::move(socket)), stop_fd_(stop_fd)
    {
    }

    // Those of the containers that the runtime knows, ended ones included. REQUIRES: 64 hexadecimal digits each.
    [[nodiscard]] Result<std::vector<ListedContainer>> list(const std::vector<std::string>& ids);

    [[nodiscard]] bool is_there() const;
    // Not before this is a failed one asked again.
    [[nodiscard]] std::chrono::steady_clock::time_point retry_at() const { return retry_at_; }

private:
    void note_failure(const Error& error);

    std::string runtime_;
    std::filesystem::path socket_;
    int stop_fd_;
    unsigned failures_ = 0; // in a row
    std::chrono::steady_clock::time_point retry_at_;
};

class ContainerSources {
public:
    ContainerSources(const NamesConfig& config, int stop_fd);

    struct Found {
        std::string id;
        CgroupIdentity identity;
        bool may_change = true; // false: ask no more
    };
    struct Answer {
        std::vector<Found> found;
        // Not the epoch: somebody who might know the rest could not be asked.
        std::chrono::steady_clock::time_point retry_at;
    };
    // At most kBatch ids of one kind.
    [[nodiscard]] Answer ask(ContainerKind kind, const std::vector<std::string>& ids);

    static constexpr size_t kBatch = 32;

private:
    Answer ask_docker(const std::vector<std::string>& ids);
    Answer ask_podman(const std::vector<std::string>& ids);
    Answer ask_kubernetes(const std::vector<std::string>& ids);
    void read_podman_storage();

    NamesConfig config_;
    RuntimeApi docker_;
    RuntimeApi podman_;
    std::string podman_storage_identity_;                // of the file when it was read
    std::map<std::string, std::string> podman_names_;    // by id, from its storage
    std::map<std::string, std::string> podman_services_; // by id, from its socket; "" when its labels name none
};

} // namespace limpet
