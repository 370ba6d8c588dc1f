// SPDX-License-Identifier: Apache-2.0
//
// What Prometheus and its linter (`promtool check metrics`) ask of names. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace limpet {

// [a-zA-Z_:][a-zA-Z0-9_:]*
[[nodiscard]] bool is_metric_name(std::string_view name);

// [a-zA-Z_][a-zA-Z0-9_]*, not beginning with "__", and not "le" or "quantile", which the text format uses itself.
[[nodiscard]] bool is_label_name(std::string_view name);

// What is wrong with a metric's name for its kind ("counter", "gauge", "histogram") and exported unit ("seconds", "bytes",
// "1"); empty when nothing is.
[[nodiscard]] std::string metric_name_mistake(std::string_view name, std::string_view kind, std::string_view unit);

} // namespace limpet
