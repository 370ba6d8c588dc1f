// SPDX-License-Identifier: Apache-2.0
//
// The decl tags "limpet:…" of one BTF, by the type and member that they are attached to. Values; no threads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct btf;
struct btf_type;

namespace limpet {

class BpfTags {
public:
    explicit BpfTags(const btf* types);

    // The fields of the tag on member `member` of struct `type_id`, split at '|' and without "limpet:"; member -1 is the
    // type or variable itself. Nothing when there is none.
    [[nodiscard]] std::optional<std::vector<std::string>> of(uint32_t type_id, int32_t member) const;

private:
    std::map<std::pair<uint32_t, int32_t>, std::string> tags_;
};

// The struct behind typedefs and qualifiers and its id, or {nullptr, 0} when it is something else.
[[nodiscard]] std::pair<const btf_type*, uint32_t> struct_behind(const btf* types, uint32_t type_id);

} // namespace limpet
