// SPDX-License-Identifier: Apache-2.0
//
// The config key `routes`: templates of routes, made ready for the kernel side. Functions without state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http_templates.h"

namespace limpet {

// The hash that the kernel side takes of a path's segment.
uint64_t hash_of_segment(std::string_view segment);

struct Routes {
    bool are_on = true;
    http_templates templates{};
    std::string mistake; // in the value, for the operator; empty: none
};

// `items`: "off" alone, "auto" alone, or templates: "/user/{id}", "/static/*".
Routes read_routes(const std::vector<std::string>& items);

} // namespace limpet
