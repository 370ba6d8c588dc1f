// SPDX-License-Identifier: Apache-2.0
//
// The http probe's user-space side: routes made ready for the kernel side, and requests in flight, read from the connections'
// slots at a scrape.
//
// Everything else the agent reads from the series tables by itself. A gauge that is derived from state cannot drift, as one
// that is raised and lowered would.
#include <cstdint>
#include <map>

#include <limpet/plugin.hpp>

#include "http_shared.h"
#include "http_templates.hpp"

namespace {

using limpet::Host;
using limpet::Status;

constexpr size_t kMaxWorkloads = 1024; // as many as the agent tells apart

class Http {
public:
    explicit Http(Host host) : host_(host) {}

    Status configure()
    {
        const limpet::Routes routes = limpet::read_routes(host_.config<std::vector<std::string>>("routes"));
        if (!routes.mistake.empty())
            return Status::bad_config(routes.mistake);
        active_requests_are_on_ = host_.config<bool>("active_requests");
        host_.set_variable("routes_are_on", uint32_t{routes.are_on});
        host_.set_variable("route_templates", routes.templates);
        return Status::ok();
    }

    void collect()
    {
        if (!active_requests_are_on_)
            return;
        begin(at_server_);
        begin(at_client_);
        for (const http_connection& connection : host_.map_view<http_connection>("limpet_connections")) {
            // closed connections as well: nothing is in flight there, but their workload's gauge is to be 0, not absent
            if (connection.halves[INGRESS].flags & HALF_CARRIES_REQUESTS)
                add(at_server_, connection);
            else if (connection.halves[EGRESS].flags & HALF_CARRIES_REQUESTS)
                add(at_client_, connection);
        }
        report("http_server_active_requests", at_server_);
        report("http_client_active_requests", at_client_);
    }

private:
    // Workloads stay listed once seen, so that their gauge returns to 0 instead of vanishing.
    using InFlight = std::map<uint32_t, uint32_t>;

    // Those that had nothing in flight make room once there are too many: they may be of containers that are gone.
    static void begin(InFlight& in_flight)
    {
        if (in_flight.size() >= kMaxWorkloads)
            std::erase_if(in_flight, [](const auto& entry) { return entry.second == 0; });
        for (auto& [workload, requests] : in_flight)
            requests = 0;
    }

    static void add(InFlight& in_flight, const http_connection& connection)
    {
        const auto requests = static_cast<uint16_t>(connection.begun - connection.done); // the counters wrap around
        const auto entry = in_flight.find(connection.head.workload);
        if (entry != in_flight.end())
            entry->second += requests;
        else if (in_flight.size() < kMaxWorkloads)
            in_flight.emplace(connection.head.workload, requests);
    }

    void report(const char* metric, const InFlight& in_flight) const
    {
        for (const auto& [workload, requests] : in_flight)
            host_.sample(metric, workload, {}, requests);
    }

    Host host_;
    bool active_requests_are_on_ = true;
    InFlight at_server_;
    InFlight at_client_;
};

} // namespace

LIMPET_PLUGIN(Http, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
